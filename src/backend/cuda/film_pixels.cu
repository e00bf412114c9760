// SPDX-License-Identifier: Apache-2.0
// Every sum is made in the order of pixel/film.cc and without fused multiply-adds, so that a film
// is the same film wherever it was converted.
#include <algorithm>
#include <cstdint>

#include "backend/cuda/film_pixels.h"
#include "backend/cuda/runtime.h"

namespace upres::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kMostPhases = 4;  // FilmFormat allows no more
constexpr int kMostTaps = 2 * kMostPhases;

// Rows of chroma that a thread makes one after the other; around them it reads a few rows of luma
// that its neighbours read, too.
constexpr int kChromaRows = 16;
constexpr int kWide = 4;  // luma samples of a row that a thread makes

/// ChromaTaps as kernels take them.
struct Taps {
  int phases, down_first;
  float up[3 * kMostPhases];
  float down[kMostTaps];  ///< zeros behind the last
  float
      down_any[3 * kMostPhases - 2];  ///< for luma samples from 1 - phases on, whatever the siting
};

/// FilmPlan as kernels take it.
struct Numbers {
  FilmFormat format;
  float luma_zero, luma_scale, chroma_zero, chroma_scale;
  float red_v, green_u, green_v, blue_u;
  float to_y[3], to_u[3], to_v[3];
  Taps across, down;
};

Taps taps_of(const ChromaTaps& of) {
  Taps taps{of.phases, of.down_first, {}, {}, {}};
  std::copy(of.up.begin(), of.up.end(), taps.up);
  std::copy(of.down.begin(), of.down.end(), taps.down);
  std::copy(of.down.begin(), of.down.end(), taps.down_any + (of.down_first + of.phases - 1));
  return taps;
}

Numbers numbers_of(const FilmPlan& plan) {
  Numbers n{.format = plan.format,
            .luma_zero = plan.luma_zero,
            .luma_scale = plan.luma_scale,
            .chroma_zero = plan.chroma_zero,
            .chroma_scale = plan.chroma_scale,
            .red_v = plan.red_v,
            .green_u = plan.green_u,
            .green_v = plan.green_v,
            .blue_u = plan.blue_u,
            .to_y = {},
            .to_u = {},
            .to_v = {},
            .across = taps_of(plan.across),
            .down = taps_of(plan.down)};
  std::copy_n(plan.to_y, 3, n.to_y);
  std::copy_n(plan.to_u, 3, n.to_u);
  std::copy_n(plan.to_v, 3, n.to_v);
  return n;
}

__device__ float product_sum(float sum, float weight, float value) {
  return __fadd_rn(sum, __fmul_rn(weight, value));
}

/// Rounds half up and clamps to 0..most; what is added before is half of it: zero + 0.5.
__device__ unsigned rounded(float value, float half_up, float most) {
  return unsigned(fminf(fmaxf(__fadd_rn(value, half_up), 0.0f), most));
}

/// Index i of a line of n, mirrored at both ends with its end samples repeated.
__device__ int reflected(int i, int n) {
  if (i >= 0 && i < n) return i;
  const int period = 2 * n;
  const int phase = ((i % period) + period) % period;
  return phase < n ? phase : period - 1 - phase;
}

__device__ float load(const FilmPlane& plane, int depth, int x, int y) {
  const std::byte* at = plane.data + y * plane.row_bytes + x * plane.step_bytes;
  if (plane.word_bytes == 1) return float(uint8_t(*at) >> plane.shift & ((1u << depth) - 1));
  unsigned word = *reinterpret_cast<const uint16_t*>(at);
  if (plane.big_endian) word = __byte_perm(word, 0, 0x4401);
  return float(word >> plane.shift & ((1u << depth) - 1));
}

__device__ void store(const FilmPlane& plane, int x, int y, unsigned sample) {
  std::byte* at = plane.data + y * plane.row_bytes + x * plane.step_bytes;
  const unsigned word = sample << plane.shift;
  if (plane.word_bytes == 1) {
    *at = std::byte(word);
  } else {
    *reinterpret_cast<uint16_t*>(at) =
        uint16_t(plane.big_endian ? __byte_perm(word, 0, 0x4401) : word);
  }
}

/// Chroma of component 1 or 2 at luma sample (x, y), scaled.
__device__ float enlarged_chroma(const Numbers& n, const FilmPlane& plane, int x, int y) {
  const Size size = n.format.size_of(1);
  const int column = x / n.across.phases;
  const int row = y / n.down.phases;
  const float* across = n.across.up + 3 * (x % n.across.phases);
  const float* down = n.down.up + 3 * (y % n.down.phases);
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    const int from_x = min(max(column - 1 + i, 0), size.width - 1);
    float value = 0;
#pragma unroll
    for (int k = 0; k < 3; ++k) {
      const int from_y = min(max(row - 1 + k, 0), size.height - 1);
      value = product_sum(value, down[k], load(plane, n.format.depth, from_x, from_y));
    }
    value = __fmul_rn(__fsub_rn(value, n.chroma_zero), n.chroma_scale);
    sum = product_sum(sum, across[i], value);
  }
  return sum;
}

__global__ void __launch_bounds__(kThreads)
    make_picture(const Numbers n, const FilmView src, const Packed dst) {
  const int x = int(blockIdx.x) * kThreads + int(threadIdx.x);
  const int y = int(blockIdx.y);
  if (x >= dst.size.width) return;
  constexpr float kHalf = 0.5f;
  uint16_t* out =
      reinterpret_cast<uint16_t*>(dst.data) + (int64_t(y) * dst.size.width + x) * dst.components;
  const auto scaled = [&](int component) {
    const float sample = load(src.planes[component], n.format.depth, x, y);
    return __fmul_rn(__fsub_rn(sample, n.luma_zero), n.luma_scale);
  };
  if (n.format.kind != FilmFormat::Kind::yuv) {
    for (int c = 0; c < dst.components; ++c) {
      out[c] = uint16_t(rounded(scaled(c), kHalf, kFilmOne));
    }
    return;
  }
  const float luma = scaled(0);
  const float u = enlarged_chroma(n, src.planes[1], x, y);
  const float v = enlarged_chroma(n, src.planes[2], x, y);
  out[0] = uint16_t(rounded(product_sum(luma, n.red_v, v), kHalf, kFilmOne));
  out[1] = uint16_t(
      rounded(product_sum(product_sum(luma, n.green_u, u), n.green_v, v), kHalf, kFilmOne));
  out[2] = uint16_t(rounded(product_sum(luma, n.blue_u, u), kHalf, kFilmOne));
}

struct Rgb {
  float red, green, blue;
};

__device__ Rgb pixel_at(const Packed& picture, int x, int y) {
  const uint16_t* at = reinterpret_cast<const uint16_t*>(picture.data) +
                       (int64_t(y) * picture.size.width + x) * picture.components;
  if (picture.components == 1) return {float(at[0]), float(at[0]), float(at[0])};
  return {float(at[0]), float(at[1]), float(at[2])};
}

__device__ float dot(const float (&weights)[3], const Rgb& pixel) {
  return product_sum(product_sum(__fmul_rn(weights[0], pixel.red), weights[1], pixel.green),
                     weights[2], pixel.blue);
}

/// Gray and RGB: each sample from one of the picture's.
__global__ void __launch_bounds__(kThreads)
    make_plain_film(const Numbers n, float inverse_scale, const Packed src, const FilmView dst) {
  const int x = int(blockIdx.x) * kThreads + int(threadIdx.x);
  const int y = int(blockIdx.y);
  if (x >= src.size.width) return;
  const Rgb pixel = pixel_at(src, x, y);
  const float half_up = __fadd_rn(n.luma_zero, 0.5f);
  const auto most = float((1u << n.format.depth) - 1);
  if (n.format.kind == FilmFormat::Kind::gray && src.components == 3) {
    return store(dst.planes[0], x, y, rounded(dot(n.to_y, pixel), half_up, most));
  }
  const float channels[] = {pixel.red, pixel.green, pixel.blue};
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    if (c < n.format.components()) {
      store(dst.planes[c], x, y, rounded(__fmul_rn(channels[c], inverse_scale), half_up, most));
    }
  }
}

/// Pixels of a row from x on, mirrored beyond its ends; kWide of them, where x is a multiple of it.
__device__ void load_pixels(const Packed& picture, int x, int y, Rgb (&pixels)[kWide]) {
  const int width = picture.size.width;
  if (picture.components == 3 && width % kWide == 0 && x >= 0 && x < width) {
    const auto* words = reinterpret_cast<const uint2*>(
        reinterpret_cast<const uint16_t*>(picture.data) + (int64_t(y) * width + x) * 3);
    uint2 loaded[3];
#pragma unroll
    for (int i = 0; i < 3; ++i) loaded[i] = words[i];
    float samples[3 * kWide];
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      const uint32_t pairs[] = {loaded[i].x, loaded[i].y};
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        samples[4 * i + k] = float(k % 2 == 0 ? pairs[k / 2] & 0xffff : pairs[k / 2] >> 16);
      }
    }
#pragma unroll
    for (int i = 0; i < kWide; ++i) {
      pixels[i] = {samples[3 * i], samples[3 * i + 1], samples[3 * i + 2]};
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kWide; ++i) pixels[i] = pixel_at(picture, reflected(x + i, width), y);
}

/// YUV whose chroma is subsampled by kAcross and kDown. A thread makes kWide / kAcross columns of
/// chroma from the top down: of the last rows of luma that it has read it keeps what it has summed
/// across. What lies beside its pixels it has from its neighbours in the warp, whose first and last
/// thread therefore only read, unless nothing lies beside.
template <int kAcross, int kDown>
__global__ void __launch_bounds__(kThreads)
    make_yuv_film(const Numbers n, const Packed src, const FilmView dst) {
  constexpr int kWindow = kDown == 1 ? 1 : 2 * kDown;
  constexpr int kColumns = kWide / kAcross;
  constexpr int kBeside = kAcross - 1;
  constexpr int kIdle = kBeside > 0 ? 1 : 0;
  constexpr int kLanes = 32;
  const int lane = int(threadIdx.x) % kLanes;
  const int warp = (int(blockIdx.x) * kThreads + int(threadIdx.x)) / kLanes;
  const int left = (warp * (kLanes - 2 * kIdle) + lane - kIdle) * kWide;
  const bool makes = lane >= kIdle && lane < kLanes - kIdle;
  const Size luma = n.format.size;
  const Size chroma = n.format.size_of(1);
  const int first = int(blockIdx.y) * kChromaRows;
  const int last = min(first + kChromaRows, chroma.height);
  const int first_luma = first * kDown;
  const int last_luma = min(last * kDown, luma.height);
  const auto most = float((1u << n.format.depth) - 1);
  const float luma_half_up = __fadd_rn(n.luma_zero, 0.5f);
  const float chroma_half_up = __fadd_rn(n.chroma_zero, 0.5f);

  using Sums = float[kColumns];
  const auto read = [&](int at, Sums& u_sums, Sums& v_sums) {
    const int y = reflected(at, luma.height);
    const bool own_row = at >= first_luma && at < last_luma;
    Rgb pixels[kWide];
    load_pixels(src, left, y, pixels);
    float u[kWide + 2 * kBeside];
    float v[kWide + 2 * kBeside];
#pragma unroll
    for (int i = 0; i < kWide; ++i) {
      u[kBeside + i] = dot(n.to_u, pixels[i]);
      v[kBeside + i] = dot(n.to_v, pixels[i]);
      if (own_row && makes && left + i < luma.width) {
        store(dst.planes[0], left + i, at, rounded(dot(n.to_y, pixels[i]), luma_half_up, most));
      }
    }
    constexpr uint32_t kAll = 0xffffffff;
#pragma unroll
    for (int i = 0; i < kBeside; ++i) {
      u[i] = __shfl_up_sync(kAll, u[kWide + i], 1);
      v[i] = __shfl_up_sync(kAll, v[kWide + i], 1);
      u[kBeside + kWide + i] = __shfl_down_sync(kAll, u[kBeside + i], 1);
      v[kBeside + kWide + i] = __shfl_down_sync(kAll, v[kBeside + i], 1);
    }
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      u_sums[c] = v_sums[c] = 0;
#pragma unroll
      for (int k = 0; k < 3 * kAcross - 2; ++k) {
        u_sums[c] = product_sum(u_sums[c], n.across.down_any[k], u[c * kAcross + k]);
        v_sums[c] = product_sum(v_sums[c], n.across.down_any[k], v[c * kAcross + k]);
      }
    }
  };

  Sums u[kWindow], v[kWindow];
  const int begin = first_luma + n.down.down_first;
#pragma unroll
  for (int k = 0; k < kWindow; ++k) read(begin + k, u[k], v[k]);
  for (int row = first; row < last; ++row) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      float u_sum = 0;
      float v_sum = 0;
#pragma unroll
      for (int k = 0; k < kWindow; ++k) {
        u_sum = product_sum(u_sum, n.down.down[k], u[k][c]);
        v_sum = product_sum(v_sum, n.down.down[k], v[k][c]);
      }
      const int column = left / kAcross + c;
      if (makes && column < chroma.width) {
        store(dst.planes[1], column, row, rounded(u_sum, chroma_half_up, most));
        store(dst.planes[2], column, row, rounded(v_sum, chroma_half_up, most));
      }
    }
    if (row + 1 == last) break;
#pragma unroll
    for (int k = 0; k + kDown < kWindow; ++k) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        u[k][c] = u[k + kDown][c];
        v[k][c] = v[k + kDown][c];
      }
    }
    const int next = (row + 1) * kDown + n.down.down_first + kWindow - kDown;
#pragma unroll
    for (int k = 0; k < kDown; ++k) {
      read(next + k, u[kWindow - kDown + k], v[kWindow - kDown + k]);
    }
  }
}

template <int kAcross>
void launch_yuv_film(const Numbers& n, const Packed& src, const FilmView& dst,
                     cudaStream_t stream) {
  constexpr int kLanes = kAcross == 1 ? 32 : 30;  // that make something
  constexpr int kBlock = kThreads / 32 * kLanes * kWide;
  const dim3 blocks{unsigned((n.format.size.width + kBlock - 1) / kBlock),
                    unsigned((n.format.size_of(1).height + kChromaRows - 1) / kChromaRows)};
  const auto kernel = n.down.phases == 1   ? make_yuv_film<kAcross, 1>
                      : n.down.phases == 2 ? make_yuv_film<kAcross, 2>
                                           : make_yuv_film<kAcross, 4>;
  kernel<<<blocks, kThreads, 0, stream>>>(n, src, dst);
}

__global__ void __launch_bounds__(kThreads)
    compare(const FilmPlane a, const FilmPlane b, int width, int* differ) {
  const int x = int(blockIdx.x) * kThreads + int(threadIdx.x);
  const int y = int(blockIdx.y);
  if (x >= width) return;
  const std::byte* p = a.data + y * a.row_bytes + x * a.step_bytes;
  const std::byte* q = b.data + y * b.row_bytes + x * b.step_bytes;
  if (p[0] != q[0] || p[a.word_bytes - 1] != q[a.word_bytes - 1]) *differ = 1;
}

dim3 blocks_for(Size size) {
  return {unsigned((size.width + kThreads - 1) / kThreads), unsigned(size.height)};
}

}  // namespace

void picture_from_film(const FilmPlan& plan, const FilmView& src, const Packed& dst,
                       cudaStream_t stream) {
  make_picture<<<blocks_for(dst.size), kThreads, 0, stream>>>(numbers_of(plan), src, dst);
  check(cudaGetLastError(), "starting a film's conversion");
}

void film_from_picture(const FilmPlan& plan, const Packed& src, const FilmView& dst,
                       cudaStream_t stream) {
  const Numbers n = numbers_of(plan);
  if (plan.format.kind != FilmFormat::Kind::yuv) {
    make_plain_film<<<blocks_for(src.size), kThreads, 0, stream>>>(n, 1 / plan.luma_scale, src,
                                                                   dst);
  } else {
    const auto launch = n.across.phases == 1   ? launch_yuv_film<1>
                        : n.across.phases == 2 ? launch_yuv_film<2>
                                               : launch_yuv_film<4>;
    launch(n, src, dst, stream);
  }
  check(cudaGetLastError(), "starting a film's conversion");
}

void compare_samples(const FilmView& a, const FilmView& b, int* differ, cudaStream_t stream) {
  for (int c = 0; c < a.format.components(); ++c) {
    const Size size = a.format.size_of(c);
    compare<<<blocks_for(size), kThreads, 0, stream>>>(a.planes[c], b.planes[c], size.width,
                                                       differ);
  }
  check(cudaGetLastError(), "comparing frames");
}

}  // namespace upres::cuda
