// SPDX-License-Identifier: Apache-2.0
// Convolutions in single precision on ordinary cores: for checking, and for what overflows half
// precision.
#pragma once

#include <cuda_runtime_api.h>

#include "backend/cuda/convolution_arguments.h"

namespace upres::cuda {

/// Puts one into the stream, of any odd kernel size. Weights: floats, as [group of 16 outputs][tap]
/// [input, of whole groups][16 outputs].
void launch_fp32(int kernel, const ConvolutionArguments& args, cudaStream_t stream);

}  // namespace upres::cuda
