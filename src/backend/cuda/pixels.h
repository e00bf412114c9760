// SPDX-License-Identifier: Apache-2.0
// A picture's samples in and out of a network on the GPU: pixel/convert.h's gather and store.
#pragma once

#include "backend/cuda/activations.h"
#include "backend/cuda/runtime.h"
#include "frame/frame_view.h"

namespace upres::cuda {

/// A picture in the GPU's memory: component c of pixel (x, y) is the sample
/// data[(y * size.width + x) * components + c].
struct Packed {
  std::byte* data;
  Size size;
  SampleType type;
  int components;  ///< 1 or 3

  size_t total_bytes() const {
    return size_t(size.width) * size_t(size.height) * size_t(components) * size_bytes(type);
  }
};

/// The network's input from a picture: see pixel/convert.h. `to` may be larger: it mirrors.
void gather(const Packed& from, const Activations16& to, cudaStream_t stream);

/// A picture from the part of the network's result that begins at `skip`: see pixel/convert.h.
void store(const Activations16& from, Point skip, const Packed& to, cudaStream_t stream);

}  // namespace upres::cuda
