// SPDX-License-Identifier: Apache-2.0
// A stream of work on the GPU.
#pragma once

#include <memory>

#include "backend/cuda/engine.h"

namespace upres::cuda {

/// `engine` outlives it.
std::unique_ptr<Session> open_cuda_session(const CudaEngine& engine);

}  // namespace upres::cuda
