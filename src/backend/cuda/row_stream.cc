// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/row_stream.h"

#include <algorithm>
#include <iterator>

#include "backend/cuda/runtime.h"
#include "base/error.h"
#include "base/half.h"

namespace upres::cuda {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

Encode find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  constexpr int kSince = 12000;
  check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kSince,
                                         cudaEnableDefault, &found),
        "asking the driver for tensor maps");
  if (found != cudaDriverEntryPointSuccess) {
    fail(ErrorCode::device, "the NVIDIA driver is too old for this GPU's kernels; update it");
  }
  return reinterpret_cast<Encode>(function);
}

/// Boxes of one pixel row's 66 pixels and `blocks` blocks of channels.
CUtensorMap boxes(const Activations& value, int channels, int blocks) {
  static const Encode encode = find_encode();
  CUtensorMap map;
  const auto block = cuuint32_t(value.block);
  const cuuint64_t pixel = block * sizeof(__half);
  const cuuint64_t sizes[] = {block, cuuint64_t(value.width), cuuint64_t(value.rows),
                              cuuint64_t(channels) / block};
  const cuuint64_t strides[] = {pixel, cuuint64_t(value.width) * pixel,
                                cuuint64_t(value.block_stride) * sizeof(__half)};
  const cuuint32_t box[] = {block, kUnitPixels, 1, cuuint32_t(blocks)};
  const cuuint32_t ones[] = {1, 1, 1, 1};
  const CUresult result =
      encode(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4, value.data, sizes, strides, box, ones,
             CU_TENSOR_MAP_INTERLEAVE_NONE,
             value.block == kBlock ? CU_TENSOR_MAP_SWIZZLE_64B : CU_TENSOR_MAP_SWIZZLE_32B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    fail(ErrorCode::device, "the driver refuses a tensor map (error {}); use -b cpu", int(result));
  }
  return map;
}

}  // namespace

std::optional<RowStreamVariant> find_row_stream(const Conv2d& conv, Sink sink) {
  const size_t addends = conv.epilogue.addends.size();
  const bool narrow = conv.in_channels <= kGroup;
  const bool whole = narrow || conv.in_channels % kBlock == 0;
  if (conv.kernel != 3 || !whole || conv.enlarge > 2) return {};
  RowStreamVariant variant{narrow ? kGroup : conv.in_channels, 32, addends > 0, conv.enlarge == 2,
                           sink};
  if (sink == Sink::activations) {
    if (addends > 2 || conv.out_channels <= kGroup) return {};
    // Wider blocks read the input once; with addends or four taps their sums are too many.
    const bool wide = variant.inputs <= kUnitChannels && conv.out_channels == 64;
    if (wide && !variant.addends && !variant.enlarged) variant.outputs = 64;
  } else {
    variant.addends = false;
    variant.outputs = sink == Sink::samples ? 8 : sink == Sink::convolved_samples ? 64 : 48;
  }
  const auto end = std::end(kRowStreamVariants);
  if (std::find(std::begin(kRowStreamVariants), end, variant) == end) return {};
  return variant;
}

bool makes_row_stream_pair(const Conv2d& conv, const Conv2d& last) {
  const size_t slopes = conv.epilogue.activation.slopes.size();
  return conv.out_channels == 64 && conv.shuffle == 1 && conv.epilogue.addends.empty() &&
         slopes <= 1 && find_row_stream(conv, Sink::convolved_samples) && last.kernel == 3 &&
         last.enlarge == 1;
}

int row_stream_splits(const RowStreamVariant& variant, int out_channels) {
  if (variant.sink != Sink::activations) return 1;
  return (out_channels + variant.outputs - 1) / variant.outputs * (variant.enlarged ? 2 : 1);
}

std::vector<uint16_t> pack_row_stream(const Conv2d& conv, const RowStreamVariant& variant,
                                      bool upwards) {
  const int row_taps = variant.enlarged ? 4 : 3;
  const int column_taps = variant.enlarged ? 2 : 3;
  const int phases = variant.enlarged ? 2 : 1;
  const int rows_of_b = row_taps * variant.outputs;
  // The nine weights' rows and columns [first, last] that fall on one tap.
  struct Range {
    int first, last;
  };
  const auto row_range = [&](int tap) -> Range {
    const int t = upwards ? row_taps - 1 - tap : tap;
    if (!variant.enlarged) return {2 - t, 2 - t};
    constexpr Range kEnlarged[] = {{2, 2}, {1, 2}, {0, 1}, {0, 0}};
    return kEnlarged[t];
  };
  const auto column_range = [&](int phase, int tap) -> Range {
    if (!variant.enlarged) return {tap, tap};
    constexpr Range kEnlarged[2][2] = {{{0, 0}, {1, 2}}, {{0, 1}, {2, 2}}};
    return kEnlarged[phase][tap];
  };
  std::vector<uint16_t> packed;
  for (int split = 0; split < row_stream_splits(variant, conv.out_channels); ++split) {
    const int phase = split % phases;
    const int first_output = split / phases * variant.outputs;
    for (int unit = 0; unit < variant.inputs; unit += kUnitChannels) {
      const int unit_end = std::min(unit + kUnitChannels, variant.inputs);
      for (int column_tap = 0; column_tap < column_taps; ++column_tap) {
        for (int eight = unit; eight < unit_end; eight += 8) {
          for (int n = 0; n < rows_of_b; ++n) {
            const int column = n % variant.outputs;
            const int out =
                first_output + output_of(variant.sink, column % 8 / 2, column / 8 * 2 + column % 2);
            const Range ys = row_range(n / variant.outputs);
            const Range xs = column_range(phase, column_tap);
            for (int in = eight; in < eight + 8; ++in) {
              const bool exists = out < conv.out_channels && in < conv.in_channels;
              float weight = 0;
              for (int y = ys.first; exists && y <= ys.last; ++y) {
                for (int x = xs.first; x <= xs.last; ++x) {
                  const size_t kernel = size_t(out) * size_t(conv.in_channels) + size_t(in);
                  weight += (*conv.weights)[kernel * 9 + size_t(y * 3 + x)];
                }
              }
              packed.push_back(f32_to_f16(weight));
            }
          }
        }
      }
    }
  }
  return packed;
}

std::vector<uint16_t> pack_last(const Conv2d& last, bool upwards) {
  std::vector<uint16_t> packed;
  for (int eight = 0; eight < last.in_channels; eight += 8) {
    for (int n = 0; n < kLastOutputs; ++n) {
      const int row = upwards ? 2 - n / 9 : n / 9;  // in the order in which rows come
      for (int in = eight; in < eight + 8; ++in) {
        const int kernel = n % 3 * last.in_channels + in;
        const size_t index = size_t(kernel) * 9 + size_t(row * 3 + n / 3 % 3);
        packed.push_back(f32_to_f16(n < kLastProducts ? (*last.weights)[index] : 0.0f));
      }
    }
  }
  return packed;
}

RowStreamArguments row_stream_arguments(const RowStreamVariant& variant,
                                        const ConvolutionArguments& args, int splits,
                                        bool upwards) {
  RowStreamArguments result{
      .convolution = args,
      .units = boxes(args.in, variant.inputs, variant.inputs == kGroup ? 1 : 2),
      .half = boxes(args.in, variant.inputs, 1),
      .splits = splits,
      .step = upwards ? -1 : 1,
      .zero = 0};
  align_addends(result.convolution);
  return result;
}

}  // namespace upres::cuda
