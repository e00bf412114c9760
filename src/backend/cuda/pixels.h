// SPDX-License-Identifier: Apache-2.0
// A picture's samples in and out of a network on the GPU: pixel/convert.h's gather and store.
#pragma once

#include <cuda_runtime_api.h>

#include "backend/cuda/activations.h"
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
void gather(const Packed& from, const Activations& to, cudaStream_t stream);

/// A picture of the size of the network's result: see pixel/convert.h. Sets *not_finite to 1 where
/// a value is not a number, or infinite.
void store(const Activations& from, const Packed& to, int* not_finite, cudaStream_t stream);

/// A gray picture from one of three floats a pixel: its BT.601 luma.
void store_luma(const Packed& from, const Packed& to, cudaStream_t stream);

}  // namespace upres::cuda
