// SPDX-License-Identifier: Apache-2.0
// The operators that are no convolution. Each fills the last group of its output with zeros.
#pragma once

#include <span>

#include "backend/cuda/activations.h"
#include "backend/cuda/runtime.h"
#include "graph/op.h"

namespace upres::cuda {

/// `slopes`: one for all channels or one a channel, on the GPU.
void activate(const Activations& in, const DeviceBuffer& slopes, const Activations& out,
              cudaStream_t stream);
void add(const Activations& a, const Activations& b, const Activations& out, cudaStream_t stream);
void scale(const Activations& in, float factor, const Activations& out, cudaStream_t stream);
void concat(std::span<const Activations> in, const Activations& out, cudaStream_t stream);
void upsample(const Activations& in, int factor, const Activations& out, cudaStream_t stream);
void pixel_shuffle(const Activations& in, int factor, const Activations& out, cudaStream_t stream);
void pixel_unshuffle(const Activations& in, int factor, const Activations& out,
                     cudaStream_t stream);

/// The taps of Resize's phases, on the GPU.
DeviceBuffer resize_table(const Resize& op);
void resize(const Activations& in, const Resize& op, const DeviceBuffer& table,
            const Activations& out, cudaStream_t stream);

}  // namespace upres::cuda
