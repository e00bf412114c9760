// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "backend/cuda/pixels.cuh"
#include "backend/cuda/runtime.h"

namespace upres::cuda {
namespace {

constexpr int kThreads = 256;

template <typename T>
__global__ void __launch_bounds__(kThreads) gather_pixels(const Packed from, const Activations to) {
  const int64_t pixel = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= int64_t(to.width) * to.height) return;
  const int x = mirrored(int(pixel % to.width), from.size.width);
  const int y = mirrored(int(pixel / to.width), from.size.height);
  const int64_t first = (int64_t(y) * from.size.width + x) * from.components;
  T* out = reinterpret_cast<T*>(to.data) + pixel * kGroup;
  with_sample_type(from.type, [&](auto sample) {
    using Sample = decltype(sample);
    const auto* samples = reinterpret_cast<const Sample*>(from.data) + first;
#pragma unroll
    for (int c = 0; c < kGroup; ++c) {
      const float value =
          c < 3 ? float(samples[from.components == 3 ? c : 0]) / kOne<Sample> : 0.0f;
      out[c] = T(value);
    }
  });
}

template <typename T>
__global__ void __launch_bounds__(kThreads)
    store_pixels(const Activations from, const Packed to, int* not_finite) {
  const int64_t pixel = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= int64_t(to.size.width) * to.size.height) return;
  const T* in = reinterpret_cast<const T*>(from.data) + pixel * kGroup;
  const float values[3] = {float(in[0]), float(in[1]), float(in[2])};
  const int x = int(pixel % to.size.width);
  const int y = int(pixel / to.size.width);
  if (!store_samples(to, x, y, 0, 3, values)) *not_finite = 1;
}

__global__ void __launch_bounds__(kThreads) store_luma_pixels(const Packed from, const Packed to) {
  const int64_t pixel = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= int64_t(to.size.width) * to.size.height) return;
  const float* in = reinterpret_cast<const float*>(from.data) + pixel * 3;
  const float value = luma(in[0], in[1], in[2]);
  with_sample_type(to.type, [&](auto sample) {
    using Sample = decltype(sample);
    reinterpret_cast<Sample*>(to.data)[pixel] = rounded_sample<Sample>(value);
  });
}

unsigned blocks_for(Size size) {
  const int64_t pixels = int64_t(size.width) * size.height;
  return unsigned((pixels + kThreads - 1) / kThreads);
}

}  // namespace

void gather(const Packed& from, const Activations& to, cudaStream_t stream) {
  const unsigned blocks = blocks_for({to.width, to.height});
  with_element(to.element, [&](auto element) {
    gather_pixels<decltype(element)><<<blocks, kThreads, 0, stream>>>(from, to);
  });
  check(cudaGetLastError(), "starting gather");
}

void store(const Activations& from, const Packed& to, int* not_finite, cudaStream_t stream) {
  with_element(from.element, [&](auto element) {
    store_pixels<decltype(element)>
        <<<blocks_for(to.size), kThreads, 0, stream>>>(from, to, not_finite);
  });
  check(cudaGetLastError(), "starting store");
}

void store_luma(const Packed& from, const Packed& to, cudaStream_t stream) {
  store_luma_pixels<<<blocks_for(to.size), kThreads, 0, stream>>>(from, to);
  check(cudaGetLastError(), "starting store");
}

}  // namespace upres::cuda
