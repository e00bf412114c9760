// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/convolution.h"

#include <algorithm>
#include <cstdint>

#include "backend/cuda/convolution_fp32.h"
#include "backend/cuda/convolution_portable.h"
#include "base/error.h"
#include "base/half.h"

namespace upres::cuda {
namespace {

/// Output groups of one block: as many as there are, else what leaves little over.
int choose_tile_groups(int kernel, int out_groups, bool fast) {
  const bool seldom = kernel == 1 || kernel == 5;
  const int most = seldom ? 2 : fast ? kMostFastGroups : kMostGroups;
  if (out_groups <= most) return out_groups;
  for (int groups = most; groups > most / 2; --groups) {
    if (out_groups % groups == 0) return groups;
  }
  return most;
}

/// Appends weights as lanes want them: of the fragment B of mma.m16n8k16, lane l holds the inputs
/// 2 * (l % 4) + {0, 1, 8, 9} of the output column l / 4. The column 2 * q + e of the pair's half j
/// is the output 4 * q + 2 * j + e of the group.
void pack_portable(const Conv2d& conv, int kernel, std::span<const float> weights, int tile_groups,
                   std::vector<uint16_t>& packed) {
  const int in_groups = whole_groups(conv.in_channels) / kGroup;
  const int out_groups = whole_groups(conv.out_channels) / kGroup;
  const int taps = kernel * kernel;
  const int tiles = (out_groups + tile_groups - 1) / tile_groups;
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
              packed.push_back(f32_to_f16(exists ? weights[index] : 0.0f));
            }
          }
        }
      }
    }
  }
}

/// The 2x2 weights that make the phase (x, y) of a convolution of 3x3 whose input is enlarged by 2:
/// sums of those that fall on the same pixel.
std::vector<float> phase_weights(const Conv2d& conv, int phase_x, int phase_y) {
  const auto tap_of = [](int phase, int k) { return (k + 1 - phase) / 2; };
  std::vector<float> sums(size_t(conv.out_channels) * size_t(conv.in_channels) * 4, 0.0f);
  for (size_t i = 0; i < conv.weights->size(); ++i) {
    const int x = tap_of(phase_x, int(i % 3));
    const int y = tap_of(phase_y, int(i / 3 % 3));
    sums[i / 9 * 4 + size_t(y * 2 + x)] += (*conv.weights)[i];
  }
  return sums;
}

/// As convolution_fp32.h wants them.
std::vector<float> pack_fp32(const Conv2d& conv, int in_groups, int out_groups) {
  const int taps = conv.kernel * conv.kernel;
  const int inputs = in_groups * kGroup;
  std::vector<float> packed(size_t(out_groups) * size_t(taps) * size_t(inputs) * kGroup);
  for (int out = 0; out < conv.out_channels; ++out) {
    for (int in = 0; in < conv.in_channels; ++in) {
      for (int tap = 0; tap < taps; ++tap) {
        const int to = ((out / kGroup * taps + tap) * inputs + in) * kGroup + out % kGroup;
        packed[size_t(to)] =
            (*conv.weights)[size_t(out * conv.in_channels + in) * size_t(taps) + size_t(tap)];
      }
    }
  }
  return packed;
}

/// Kernels read whole blocks of outputs.
constexpr size_t kLargestBlock = 64;

/// One value an output channel, and zeros to a multiple of the largest block.
DeviceBuffer per_output(const std::vector<float>& values, int out_channels) {
  const auto outputs = size_t(out_channels);
  std::vector<float> padded((outputs + kLargestBlock - 1) / kLargestBlock * kLargestBlock, 0.0f);
  for (size_t i = 0; i < outputs; ++i) padded[i] = values.size() == 1 ? values[0] : values[i];
  return DeviceBuffer::of<float>(padded);
}

DeviceBuffer slopes_of(const Conv2d& conv) {
  const std::vector<float>& slopes = conv.epilogue.activation.slopes;
  return per_output(slopes.empty() ? std::vector{1.0f} : slopes, conv.out_channels);
}

}  // namespace

Convolution::Convolution(const Conv2d& conv, Family family, Sink sink, bool upwards,
                         [[maybe_unused]] const Conv2d* last)
    : family_(family),
      sink_(sink),
      upwards_(upwards),
      kernel_(conv.kernel),
      enlarge_(conv.enlarge),
      in_groups_(whole_groups(conv.in_channels) / kGroup),
      out_groups_(whole_groups(conv.out_channels) / kGroup),
      biases_(per_output(*conv.biases, conv.out_channels)),
      slopes_(slopes_of(conv)) {
  for (const Addend& addend : conv.epilogue.addends) addend_scales_.push_back(addend.scale);
  if (addend_scales_.size() > kMostAddends) {
    fail(ErrorCode::model, "{} values added to one convolution do not run on the GPU; use -b cpu",
         addend_scales_.size());
  }
  if (family_ == Family::fp32) {
    weights_ = DeviceBuffer::of<float>(pack_fp32(conv, in_groups_, out_groups_));
    return;
  }
#ifdef UPRES_WITH_SM90
  if (family_ == Family::row_stream) {
    variant_ = find_row_stream(conv, sink);
    if (variant_) {
      prepare_row_stream(*variant_);
      splits_ = row_stream_splits(*variant_, conv.out_channels);
      weights_ = DeviceBuffer::of<uint16_t>(pack_row_stream(conv, *variant_, upwards));
      if (last) {
        last_weights_ = DeviceBuffer::of<uint16_t>(pack_last(*last, upwards));
        last_biases_ = per_output(*last->biases, last->out_channels);
      }
      return;
    }
    family_ = Family::portable;
  }
#endif
  tile_groups_ = choose_tile_groups(conv.kernel, out_groups_, family_ == Family::portable_fast);
  if (conv.kernel == 3 && conv.enlarge == 2) {
    kernel_ = kPhasedKernel;
    enlarge_ = 1;
  }
  if (!prepare_portable(kernel_, tile_groups_)) {
    fail(ErrorCode::model,
         "convolutions of {0}x{0} do not run on the GPU in half precision; use --precision fp32 "
         "or -b cpu",
         conv.kernel);
  }
  std::vector<uint16_t> packed;
  if (kernel_ == kPhasedKernel) {
    for (const int y : {0, 1}) {
      for (const int x : {0, 1}) {
        pack_portable(conv, kernel_, phase_weights(conv, x, y), tile_groups_, packed);
      }
    }
  } else {
    pack_portable(conv, kernel_, *conv.weights, tile_groups_, packed);
  }
  weights_ = DeviceBuffer::of<uint16_t>(packed);
}

void Convolution::launch(const Activations& in, std::span<const Activations> addends,
                         const Target& target, cudaStream_t stream) const {
  ConvolutionArguments args{.sink = sink_,
                            .in = in,
                            .enlarge = enlarge_,
                            .out = target.out,
                            .weights = weights_.data(),
                            .biases = biases_.as<const float>(),
                            .slopes = slopes_.as<const float>(),
                            .in_groups = in_groups_,
                            .out_groups = out_groups_,
                            .addend_count = 0,
                            .addends = {},
                            .addend_scales = {},
                            .samples = target.samples,
                            .not_finite = target.not_finite,
                            .base = {},
                            .last_weights = last_weights_.data(),
                            .last_biases = last_biases_.as<const float>()};
  if (sink_ == Sink::shuffled_samples) {
    args.base = addends[0];
  } else {
    args.addend_count = int(addends.size());
    std::copy(addends.begin(), addends.end(), args.addends);
    std::copy(addend_scales_.begin(), addend_scales_.end(), args.addend_scales);
  }
#ifdef UPRES_WITH_SM90
  if (variant_) {
    const RowStreamArguments arguments = row_stream_arguments(*variant_, args, splits_, upwards_);
    return launch_row_stream(*variant_, arguments, stream);
  }
#endif
  if (family_ == Family::fp32) return launch_fp32(kernel_, args, stream);
  launch_portable(kernel_, tile_groups_, family_ == Family::portable_fast, args, stream);
}

}  // namespace upres::cuda
