// SPDX-License-Identifier: Apache-2.0
// A stream of work on the GPU.
#pragma once

#include <memory>

#include "backend/cuda/engine.h"

namespace upres::cuda {

/// A result of one level alone is suspicious where the picture has more than this range of 0..1.
constexpr float kPlainRange = 16.0f / 255.0f;

/// `engine` outlives it.
std::unique_ptr<Session> open_cuda_session(const CudaEngine& engine);

}  // namespace upres::cuda
