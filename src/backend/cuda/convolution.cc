// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/convolution.h"

#include <algorithm>
#include <cstdint>

#include "backend/cuda/convolution_kernel.h"
#include "base/error.h"
#include "base/half.h"

namespace upres::cuda {
namespace {

/// Output groups of one block: as many as there are, else what leaves little over.
int choose_tile_groups(int kernel, int out_groups) {
  const int most = kernel == 5 ? 2 : 4;
  if (out_groups <= most) return out_groups;
  for (int groups = most; groups > most / 2; --groups) {
    if (out_groups % groups == 0) return groups;
  }
  return most;
}

/// Weights as lanes want them: of the fragment B of mma.m16n8k16, lane l holds the inputs
/// 2 * (l % 4) + {0, 1, 8, 9} of the output column l / 4. The column 2 * q + e of the pair's half j
/// is the output 4 * q + 2 * j + e of the group.
std::vector<uint16_t> pack(const Conv2d& conv, int in_groups, int out_groups, int tile_groups) {
  const int taps = conv.kernel * conv.kernel;
  const int tiles = (out_groups + tile_groups - 1) / tile_groups;
  std::vector<uint16_t> packed(size_t(tiles) * size_t(in_groups) * size_t(taps) *
                               size_t(tile_groups) * (kGroupBytes / sizeof(uint16_t)));
  auto weight = packed.begin();
  for (int tile = 0; tile < tiles; ++tile) {
    for (int in_group = 0; in_group < in_groups; ++in_group) {
      for (int tap = 0; tap < taps; ++tap) {
        for (int group = 0; group < tile_groups; ++group) {
          for (int lane = 0; lane < 32; ++lane) {
            for (int i = 0; i < 8; ++i) {
              const int j = i / 4;
              const int k = 2 * (lane % 4) + i % 2 + (i / 2 % 2) * 8;
              const int column = lane / 4;
              const int out =
                  (tile * tile_groups + group) * kGroup + column / 2 * 4 + 2 * j + column % 2;
              const int in = in_group * kGroup + k;
              const bool exists = out < conv.out_channels && in < conv.in_channels;
              const size_t index =
                  (size_t(out) * size_t(conv.in_channels) + size_t(in)) * size_t(taps) +
                  size_t(tap);
              *weight++ = f32_to_f16(exists ? (*conv.weights)[index] : 0.0f);
            }
          }
        }
      }
    }
  }
  return packed;
}

std::vector<float> biases_and_slopes(const Conv2d& conv, int out_groups) {
  const size_t padded = size_t(out_groups) * kGroup;
  std::vector<float> values(2 * padded, 0.0f);
  std::copy(conv.biases->begin(), conv.biases->end(), values.begin());
  const std::vector<float>& slopes = conv.epilogue.activation.slopes;
  for (size_t i = 0; i < size_t(conv.out_channels); ++i) {
    values[padded + i] = slopes.empty() ? 1.0f : slopes.size() == 1 ? slopes[0] : slopes[i];
  }
  return values;
}

}  // namespace

Convolution::Convolution(const Conv2d& conv)
    : kernel_(conv.kernel),
      enlarge_(conv.enlarge),
      in_groups_(whole_groups(conv.in_channels) / kGroup),
      out_groups_(whole_groups(conv.out_channels) / kGroup),
      tile_groups_(choose_tile_groups(conv.kernel, out_groups_)) {
  if (!prepare_convolution(kernel_, tile_groups_)) {
    fail(ErrorCode::model, "convolutions of {0}x{0} do not run on the GPU; use -b cpu", kernel_);
  }
  weights_ = DeviceBuffer::of<uint16_t>(pack(conv, in_groups_, out_groups_, tile_groups_));
  biases_ = DeviceBuffer::of<float>(biases_and_slopes(conv, out_groups_));
  for (const Addend& addend : conv.epilogue.addends) addend_scales_.push_back(addend.scale);
  if (addend_scales_.size() > kMostAddends) {
    fail(ErrorCode::model, "{} values added to one convolution do not run on the GPU; use -b cpu",
         addend_scales_.size());
  }
}

void Convolution::launch(const Activations16& in, std::span<const Activations16> addends,
                         const Activations16& out, cudaStream_t stream) const {
  ConvolutionArguments args{.in = in.data,
                            .out = out.data,
                            .weights = weights_.as<const uint4>(),
                            .biases = biases_.as<const float>(),
                            .in_stride = in.stride,
                            .out_stride = out.stride,
                            .width = out.width,
                            .height = out.height,
                            .in_width = in.width,
                            .enlarge = enlarge_,
                            .in_groups = in_groups_,
                            .out_groups = out_groups_,
                            .addend_count = int(addends.size()),
                            .addends = {},
                            .addend_strides = {},
                            .addend_scales = {}};
  for (size_t i = 0; i < addends.size(); ++i) {
    args.addends[i] = addends[i].data;
    args.addend_strides[i] = addends[i].stride;
    args.addend_scales[i] = addend_scales_[i];
  }
  launch_convolution(kernel_, tile_groups_, args, stream);
}

}  // namespace upres::cuda
