// SPDX-License-Identifier: Apache-2.0
// The operators that are no convolution. Each fills the last group of its output with zeros.
#pragma once

#include <span>

#include "backend/cuda/activations.h"
#include "backend/cuda/runtime.h"
#include "graph/op.h"

namespace upres::cuda {

/// `slopes`: one for all channels or one a channel, on the GPU.
void activate(const Activations16& in, const DeviceBuffer& slopes, const Activations16& out,
              cudaStream_t stream);
void add(const Activations16& a, const Activations16& b, const Activations16& out,
         cudaStream_t stream);
void scale(const Activations16& in, float factor, const Activations16& out, cudaStream_t stream);
void concat(std::span<const Activations16> in, const Activations16& out, cudaStream_t stream);
void upsample(const Activations16& in, int factor, const Activations16& out, cudaStream_t stream);
void pixel_shuffle(const Activations16& in, int factor, const Activations16& out,
                   cudaStream_t stream);
void pixel_unshuffle(const Activations16& in, int factor, const Activations16& out,
                     cudaStream_t stream);

/// The taps of Resize's phases, on the GPU.
DeviceBuffer resize_table(const Resize& op);
void resize(const Activations16& in, const Resize& op, const DeviceBuffer& table,
            const Activations16& out, cudaStream_t stream);

}  // namespace upres::cuda
