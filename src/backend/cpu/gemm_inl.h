// SPDX-License-Identifier: Apache-2.0
// A small matrix product, compiled for every instruction set: what both families of convolutions
// spend their time in.
//
//             K                     width                    width
//         ┌───────┐               ┌───────┐                ┌───────┐
//    rows │ a     │   x         K │ b     │   =       rows │ c     │
//         └───────┘               │       │                └───────┘
//                                 └───────┘
//
// One tile of c stays in registers: of the 16 that AVX2 has, 6 x 2 hold sums, two a row of b and
// one an element of a, repeated. A row of b and six elements are eight loads for twelve
// multiply-adds; both units are busy as long as b and a come from the first-level cache.
#if defined(UPRES_BACKEND_CPU_GEMM_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef UPRES_BACKEND_CPU_GEMM_INL_H
#undef UPRES_BACKEND_CPU_GEMM_INL_H
#else
#define UPRES_BACKEND_CPU_GEMM_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <utility>

HWY_BEFORE_NAMESPACE();
namespace upres::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;

constexpr int kLanes = int(hn::MaxLanes(Floats()));

// AVX-512 and NEON have 32 registers.
constexpr int kGemmRows = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON ? 12 : 6;

/// Elements between rows of the matrices; b's are side by side.
struct GemmStrides {
  ptrdiff_t a;
  ptrdiff_t c;
};

/// c = a * b for kRows rows and kVectors vectors of columns.
template <int kRows, int kVectors>
void gemm_tile(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, float* HWY_RESTRICT c,
               GemmStrides strides, int depth) {
  const Floats d;
  Vector sums[kRows][kVectors];
  for (int row = 0; row < kRows; ++row) {
    for (int v = 0; v < kVectors; ++v) sums[row][v] = hn::Zero(d);
  }
  for (int k = 0; k < depth; ++k) {
    Vector of_b[kVectors];
    for (int v = 0; v < kVectors; ++v) of_b[v] = hn::Load(d, b + v * kLanes);
    b += kVectors * kLanes;
    for (int row = 0; row < kRows; ++row) {
      const Vector of_a = hn::Set(d, a[row * strides.a + k]);
      for (int v = 0; v < kVectors; ++v) sums[row][v] = hn::MulAdd(of_a, of_b[v], sums[row][v]);
    }
  }
  for (int row = 0; row < kRows; ++row) {
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(sums[row][v], d, c + row * strides.c + v * kLanes);
    }
  }
}

/// gemm_tile by its number of rows, which begins at 1.
template <int kVectors, int... kRows>
void gemm_rows(std::integer_sequence<int, kRows...>, int rows, const float* a, const float* b,
               float* c, GemmStrides strides, int depth) {
  using Tile = void (*)(const float*, const float*, float*, GemmStrides, int);
  static constexpr Tile kTiles[] = {gemm_tile<kRows + 1, kVectors>...};
  constexpr int kMost = int(sizeof...(kRows));
  for (; rows > 0; rows -= kMost) {
    kTiles[(rows < kMost ? rows : kMost) - 1](a, b, c, strides, depth);
    a += kMost * strides.a;
    c += kMost * strides.c;
  }
}

/// c = a * b for any number of rows. `width`: one vector or two.
inline void gemm(int rows, int width, const float* a, const float* b, float* c, GemmStrides strides,
                 int depth) {
  if (width == kLanes) {
    gemm_rows<1>(std::make_integer_sequence<int, 2 * kGemmRows>(), rows, a, b, c, strides, depth);
  } else {
    gemm_rows<2>(std::make_integer_sequence<int, kGemmRows>(), rows, a, b, c, strides, depth);
  }
}

}  // namespace upres::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
