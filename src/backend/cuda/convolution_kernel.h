// SPDX-License-Identifier: Apache-2.0
// The convolution kernel as its launcher sees it.
#pragma once

#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

namespace upres::cuda {

constexpr int kMostAddends = 3;

/// The weights of one tap, 16 inputs and 16 outputs, in bytes: 16 for each lane.
constexpr int kGroupBytes = 32 * 16;

struct ConvolutionArguments {
  const __half* in;
  __half* out;
  const uint4* weights;  ///< [tile of groups][16 inputs][tap][group][lane]: see convolution.cc
  const float* biases;   ///< one an output channel of whole groups, then as many slopes
  int in_stride, out_stride;
  int width, height;  ///< of the output
  int in_width;       ///< of the input, where every pixel counts enlarge x enlarge times
  int enlarge;
  int in_groups, out_groups;
  int addend_count;
  const __half* addends[kMostAddends];
  int addend_strides[kMostAddends];
  float addend_scales[kMostAddends];
};

/// Makes the kernel for this size ready on the present GPU, where a block computes `tile_groups`
/// groups of outputs. False when there is none.
bool prepare_convolution(int kernel, int tile_groups);

/// Puts a prepared one into the stream.
void launch_convolution(int kernel, int tile_groups, const ConvolutionArguments& args,
                        cudaStream_t stream);

}  // namespace upres::cuda
