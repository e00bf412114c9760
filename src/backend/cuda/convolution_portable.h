// SPDX-License-Identifier: Apache-2.0
// Convolutions on the tensor cores of every GPU from Ampere on: convolution_mma.cu.
#pragma once

#include <cuda_runtime_api.h>

#include "backend/cuda/convolution_arguments.h"

namespace upres::cuda {

/// The weights of one tap, 16 inputs and 16 outputs, in bytes: 16 for each lane. The kernel wants
/// them as [tile of groups][16 inputs][tap][group][lane]: see convolution.cc.
constexpr int kGroupBytes = 32 * 16;

/// Makes the kernel for this size ready on the present GPU, where a block computes `tile_groups`
/// groups of outputs. False when there is none.
bool prepare_portable(int kernel, int tile_groups);

/// Puts a prepared one into the stream. `fast`: with sums in half precision.
void launch_portable(int kernel, int tile_groups, bool fast, const ConvolutionArguments& args,
                     cudaStream_t stream);

}  // namespace upres::cuda
