// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "backend/cuda/pixels.h"
#include "pixel/sample.h"

namespace upres::cuda {
namespace {

constexpr int kThreads = 256;

__device__ int mirrored(int i, int n) {
  if (n == 1) return 0;
  const int period = 2 * (n - 1);
  const int phase = i % period;
  return phase < n ? phase : period - phase;
}

__device__ float clamp01(float value) {
  return value > 0 ? fminf(value, 1.0f) : 0.0f;
}

// As the processor's compiler rounds it: no fused multiply-adds.
__device__ float luma(float red, float green, float blue) {
  return __fadd_rn(__fadd_rn(__fmul_rn(0.299f, clamp01(red)), __fmul_rn(0.587f, clamp01(green))),
                   __fmul_rn(0.114f, clamp01(blue)));
}

/// As to_sample() in pixel/sample.h.
template <typename Sample>
__device__ Sample rounded_sample(float value) {
  if constexpr (std::is_floating_point_v<Sample>) {
    return value;
  } else {
    const float rounded = floorf(__fadd_rn(__fmul_rn(value, kOne<Sample>), 0.5f));
    return rounded > 0 ? Sample(fminf(rounded, kOne<Sample>)) : Sample(0);
  }
}

template <typename Sample>
__global__ void __launch_bounds__(kThreads)
    gather_pixels(const Packed from, const Activations16 to) {
  const int64_t pixel = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= int64_t(to.width) * to.height) return;
  const int x = mirrored(int(pixel % to.width), from.size.width);
  const int y = mirrored(int(pixel / to.width), from.size.height);
  const auto* samples = reinterpret_cast<const Sample*>(from.data) +
                        (int64_t(y) * from.size.width + x) * from.components;
  __half* out = to.data + pixel * to.stride;
  for (int c = 0; c < whole_groups(to.channels); ++c) {
    const float value = float(samples[from.components == 3 ? min(c, 2) : 0]) / kOne<Sample>;
    out[c] = c < 3 ? __float2half_rn(value) : __half(0.0f);
  }
}

template <typename Sample>
__global__ void __launch_bounds__(kThreads)
    store_pixels(const Activations16 from, Point skip, const Packed to) {
  const int64_t pixel = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (pixel >= int64_t(to.size.width) * to.size.height) return;
  const int x = int(pixel % to.size.width) + skip.x;
  const int y = int(pixel / to.size.width) + skip.y;
  const __half* in = from.data + (int64_t(y) * from.width + x) * from.stride;
  const float red = __half2float(in[0]);
  const float green = __half2float(in[1]);
  const float blue = __half2float(in[2]);
  auto* samples = reinterpret_cast<Sample*>(to.data) + pixel * to.components;
  if (to.components == 1) {
    samples[0] = rounded_sample<Sample>(luma(red, green, blue));
  } else {
    samples[0] = rounded_sample<Sample>(red);
    samples[1] = rounded_sample<Sample>(green);
    samples[2] = rounded_sample<Sample>(blue);
  }
}

unsigned blocks_for(int64_t pixels) {
  return unsigned((pixels + kThreads - 1) / kThreads);
}

}  // namespace

void gather(const Packed& from, const Activations16& to, cudaStream_t stream) {
  with_sample_type(from.type, [&](auto sample) {
    gather_pixels<decltype(sample)>
        <<<blocks_for(int64_t(to.width) * to.height), kThreads, 0, stream>>>(from, to);
  });
  check(cudaGetLastError(), "starting gather");
}

void store(const Activations16& from, Point skip, const Packed& to, cudaStream_t stream) {
  with_sample_type(to.type, [&](auto sample) {
    store_pixels<decltype(sample)>
        <<<blocks_for(int64_t(to.size.width) * to.size.height), kThreads, 0, stream>>>(from, skip,
                                                                                       to);
  });
  check(cudaGetLastError(), "starting store");
}

}  // namespace upres::cuda
