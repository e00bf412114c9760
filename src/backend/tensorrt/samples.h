// SPDX-License-Identifier: Apache-2.0
// A picture's samples in and out of TensorRT's tensors on the GPU: pixel/convert.h's gather and
// store.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "backend/cuda/pixels.h"
#include "tile/rect.h"

namespace upres::tensorrt {

/// Red, green and blue, one plane after the other, in half precision or in single.
struct Planes {
  std::byte* data;
  Size size;
  bool half;

  size_t total_bytes() const {
    return 3 * size_t(size.width) * size_t(size.height) * (half ? 2 : 4);
  }
};

/// The network's input from a picture. `to` may be larger: it mirrors.
void gather(const cuda::Packed& from, const Planes& to, cudaStream_t stream);

/// A part of the network's result, from `skip` on, into a picture of the part's size. Sets
/// *not_finite to 1 where one of its values is not a number, or infinite.
void store(const Planes& from, Point skip, const cuda::Packed& to, int* not_finite,
           cudaStream_t stream);

}  // namespace upres::tensorrt
