// SPDX-License-Identifier: Apache-2.0
// Between numbers and a picture's samples: what kernels that read and write samples share.
#pragma once

#include <cstdint>
#include <cstring>

#include "backend/cuda/pixels.h"
#include "pixel/sample.h"

namespace upres::cuda {

/// Index i of a line of n mirrored at both ends, its end pixels not repeated.
__device__ inline int mirrored(int i, int n) {
  if (n == 1) return 0;
  const int period = 2 * (n - 1);
  const int phase = i % period;
  return phase < n ? phase : period - phase;
}

__device__ inline float clamp01(float value) {
  return value > 0 ? fminf(value, 1.0f) : 0.0f;
}

/// As luma() in pixel/convert.h: as the processor's compiler rounds it, no fused multiply-adds.
__device__ inline float luma(float red, float green, float blue) {
  return __fadd_rn(__fadd_rn(__fmul_rn(0.299f, clamp01(red)), __fmul_rn(0.587f, clamp01(green))),
                   __fmul_rn(0.114f, clamp01(blue)));
}

/// As to_sample() in pixel/sample.h: as the processor's compiler rounds it, no fused multiply-adds.
template <typename Sample>
__device__ Sample rounded_sample(float value) {
  if constexpr (std::is_floating_point_v<Sample>) {
    return value;
  } else {
    // Conversion rounds down, and makes zero of what is below it, or not a number.
    return Sample(min(__float2uint_rz(__fadd_rn(__fmul_rn(value, kOne<Sample>), 0.5f)),
                      uint32_t(kOne<Sample>)));
  }
}

/// Whether all values are finite: a product with 0 is 0, or not a number.
template <int kCount>
__device__ bool all_finite(const float (&values)[kCount], int count = kCount) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if (i < count) sum = fmaf(values[i], 0.0f, sum);
  }
  return sum == 0;
}

/// Stores kCount components of a pixel, from `component` on; all that are below `end`. Returns
/// whether they are finite.
template <int kCount>
__device__ bool store_samples(const Packed& to, int x, int y, int component, int end,
                              const float (&values)[kCount]) {
  const int64_t first = (int64_t(y) * to.size.width + x) * 3;
  with_sample_type(to.type, [&](auto sample) {
    using Sample = decltype(sample);
    auto* samples = reinterpret_cast<Sample*>(to.data) + first;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (component + i < end) samples[component + i] = rounded_sample<Sample>(values[i]);
    }
  });
  return all_finite(values, end - component);
}

/// Stores four neighbouring pixels of a row, from a column on that is a multiple of four, in a
/// picture as wide: 12, 24 or 48 bytes; nothing where `inside` is false. Returns whether what it
/// stores is finite.
__device__ inline bool store_four_pixels(const Packed& to, bool inside, int x, int y,
                                         const float (&values)[12]) {
  const int64_t first = (int64_t(y) * to.size.width + x) * 3;
  with_sample_type(to.type, [&](auto sample) {
    using Sample = decltype(sample);
    constexpr int kPerWord = int(4 / sizeof(Sample));
    auto* words = reinterpret_cast<uint32_t*>(to.data) + first / kPerWord;
#pragma unroll
    for (int i = 0; i < 12 / kPerWord; ++i) {
      uint32_t word = 0;
#pragma unroll
      for (int k = 0; k < kPerWord; ++k) {
        const Sample rounded = rounded_sample<Sample>(values[i * kPerWord + k]);
        if constexpr (std::is_floating_point_v<Sample>) {
          word = __float_as_uint(rounded);
        } else {
          word |= uint32_t(rounded) << (k * 8 * int(sizeof(Sample)));
        }
      }
      // Left to itself the compiler makes a branch of this, around all that is stored.
      asm volatile(
          "{\n.reg .pred inside;\nsetp.ne.b32 inside, %2, 0;\n"
          "@inside st.global.b32 [%0], %1;\n}" ::"l"(words + i),
          "r"(word), "r"(int(inside))
          : "memory");
    }
  });
  return !inside || all_finite(values);
}

}  // namespace upres::cuda
