// SPDX-License-Identifier: Apache-2.0
// Convolutions on the tensor cores of every GPU from Ampere on: convolution_mma.cu.
#pragma once

#include <cuda_runtime_api.h>

#include "backend/cuda/convolution_arguments.h"

namespace upres::cuda {

/// The weights of one tap, 16 inputs and 16 outputs, in bytes: 16 for each lane. The kernel wants
/// them as [tile of groups][16 inputs][tap][group][lane]: see convolution.cc.
constexpr int kGroupBytes = 32 * 16;

/// Stands for a kernel of 3 on an input that is enlarged by 2: a kernel of 2 for each of the
/// output's phases, their weights one phase after the other. To launch_portable() the input is then
/// not enlarged.
constexpr int kPhasedKernel = 2;

/// Groups of outputs that a block can compute; with sums in half precision.
constexpr int kMostGroups = 4;
constexpr int kMostFastGroups = 3;

/// Makes the kernel for this size ready on the present GPU, where a block computes `tile_groups`
/// groups of outputs. False when there is none.
bool prepare_portable(int kernel, int tile_groups);

/// Puts a prepared one into the stream. `fast`: with sums in half precision.
void launch_portable(int kernel, int tile_groups, bool fast, ConvolutionArguments args,
                     cudaStream_t stream);

}  // namespace upres::cuda
