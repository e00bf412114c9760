// SPDX-License-Identifier: Apache-2.0
// What the convolution kernels of all families are given, and where their results go.
#pragma once

#include <cuda_runtime_api.h>

#include "backend/cuda/activations.h"
#include "backend/cuda/pixels.h"

namespace upres::cuda {

constexpr int kMostAddends = 3;

/// Where the result of a convolution goes.
enum class Sink {
  activations,
  samples,            ///< the three outputs are the network's result
  convolved_samples,  ///< a last convolution of 3x3 makes three of them, which are
  shuffled_samples,   ///< 48 outputs are, shuffled by 4 and added to `base`, enlarged by 4
};

struct ConvolutionArguments {
  Sink sink;
  Activations in;  ///< of which every pixel counts enlarge x enlarge times
  int enlarge;
  Activations out;      ///< all its rows are made; where samples are, only these count
  const void* weights;  ///< packed for the family
  const float* biases;  ///< one an output channel, and zeros to a multiple of 64
  const float* slopes;  ///< of the activation, alike
  int in_groups, out_groups;
  int addend_count;
  Activations addends[kMostAddends];
  float addend_scales[kMostAddends];
  Packed samples;   ///< of three components
  int* not_finite;  ///< becomes 1 where a sample is not a number, or infinite
  Activations base;
  const void* last_weights;  ///< of the last convolution, where the sink has one, packed
  const float* last_biases;
};

/// Moves the addends' data to where the output's first row is, so that all have the same offsets.
inline void align_addends(ConvolutionArguments& args) {
  for (int i = 0; i < args.addend_count; ++i) {
    Activations& addend = args.addends[i];
    addend.data += int64_t(args.out.first_row - addend.first_row) * addend.width * addend.block *
                   int64_t(size_bytes(addend.element));
    addend.first_row = args.out.first_row;
  }
}

}  // namespace upres::cuda
