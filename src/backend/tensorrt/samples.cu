// SPDX-License-Identifier: Apache-2.0
#include <cuda_fp16.h>

#include <cstdint>

#include "backend/cuda/pixels.cuh"
#include "backend/cuda/runtime.h"
#include "backend/tensorrt/samples.h"

namespace upres::tensorrt {
namespace {

using cuda::Packed;

constexpr int kThreads = 256;

template <typename Sample, typename T>
__global__ void __launch_bounds__(kThreads) gather_pixels(const Packed from, T* to, Size size) {
  const int64_t pixel = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t plane = int64_t(size.width) * size.height;
  if (pixel >= plane) return;
  const int x = cuda::mirrored(int(pixel % size.width), from.size.width);
  const int y = cuda::mirrored(int(pixel / size.width), from.size.height);
  const auto* samples = reinterpret_cast<const Sample*>(from.data) +
                        (int64_t(y) * from.size.width + x) * from.components;
  for (int c = 0; c < 3; ++c) {
    to[c * plane + pixel] = T(float(samples[from.components == 3 ? c : 0]) / kOne<Sample>);
  }
}

template <typename Sample, typename T>
__global__ void __launch_bounds__(kThreads)
    store_pixels(const T* from, Size size, Point skip, const Packed to, int* not_finite) {
  const int64_t pixel = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= int64_t(to.size.width) * to.size.height) return;
  const int64_t plane = int64_t(size.width) * size.height;
  const T* in =
      from + (pixel / to.size.width + skip.y) * size.width + pixel % to.size.width + skip.x;
  const float values[3] = {float(in[0]), float(in[plane]), float(in[2 * plane])};
  if (!cuda::all_finite(values)) *not_finite = 1;
  auto* out = reinterpret_cast<Sample*>(to.data) + pixel * to.components;
  if (to.components == 1) {
    out[0] = cuda::rounded_sample<Sample>(cuda::luma(values[0], values[1], values[2]));
    return;
  }
  for (int c = 0; c < 3; ++c) out[c] = cuda::rounded_sample<Sample>(values[c]);
}

unsigned blocks_for(Size size) {
  const int64_t pixels = int64_t(size.width) * size.height;
  return unsigned((pixels + kThreads - 1) / kThreads);
}

/// Calls `body` with zeros of the C++ types of a sample and of a tensor's number.
template <typename Body>
void with_types(SampleType type, bool half, Body&& body) {
  with_sample_type(type,
                   [&](auto sample) { half ? body(sample, __half{}) : body(sample, float{}); });
}

}  // namespace

void gather(const Packed& from, const Planes& to, cudaStream_t stream) {
  with_types(from.type, to.half, [&](auto sample, auto number) {
    using T = decltype(number);
    gather_pixels<decltype(sample)><<<blocks_for(to.size), kThreads, 0, stream>>>(
        from, reinterpret_cast<T*>(to.data), to.size);
  });
  cuda::check(cudaGetLastError(), "starting gather");
}

void store(const Planes& from, Point skip, const Packed& to, int* not_finite, cudaStream_t stream) {
  with_types(to.type, from.half, [&](auto sample, auto number) {
    using T = decltype(number);
    store_pixels<decltype(sample)><<<blocks_for(to.size), kThreads, 0, stream>>>(
        reinterpret_cast<const T*>(from.data), from.size, skip, to, not_finite);
  });
  cuda::check(cudaGetLastError(), "starting store");
}

}  // namespace upres::tensorrt
