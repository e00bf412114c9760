// SPDX-License-Identifier: Apache-2.0
// The rate at which tensor cores multiply when they do nothing else: what the kernels' rates are
// told as shares of.
#pragma once

#include <cuda_runtime_api.h>

namespace upres::cuda {

/// Half precision in, sums in single precision, random operands: in registers (mma.sync), or in
/// shared memory (wgmma), where only what is built for Hopper has it. Puts some milliseconds of it
/// into the stream and returns the operations.
double launch_mma_sync_roof(cudaStream_t stream);
double launch_wgmma_roof(cudaStream_t stream);

}  // namespace upres::cuda
