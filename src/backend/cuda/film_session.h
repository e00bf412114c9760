// SPDX-License-Identifier: Apache-2.0
// A film on a CUDA engine. Three streams work at once, on frames that follow each other:
//
//     samples in → [samples → R'G'B' → network → R'G'B' → samples] → samples out
//      copies in                      computes                        copies out
#pragma once

#include <memory>

#include "backend/cuda/engine.h"

namespace upres::cuda {

/// Null where the GPU's memory does not suffice.
std::unique_ptr<FilmSession> open_cuda_film(const CudaEngine& engine, const FilmRoute& route);

}  // namespace upres::cuda
