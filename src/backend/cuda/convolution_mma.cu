// SPDX-License-Identifier: Apache-2.0
// Direct convolution by mma.sync m16n8k16, fp16 in; sums in fp32, or in fp16 where that is asked
// for.
//
// A block of four or eight warps makes 16 x 16 pixels of up to 64 output channels. Sixteen input
// channels at a time, it brings the tile with its border and all weights of these channels into
// shared memory (cp.async, while it works on the sixteen before), and then takes every tap from
// there: an activation is read once a tile, not nine times.
//
//     a warp: 4 or 2 rows of 16 pixels, each the A (16 pixels x 16 channels) of an mma
//
//     shared memory, one of two stages
//     ├ pixels ────────────────────────────────────────┼ weights ──────────────────────────────┤
//     │ [8-channel half 0][y 0..15+border][x][8]        │ [tap][group of 16 outputs][lane][16 B] │
//     │ [8-channel half 1][y][x][8]                     │                                        │
//
// Halves of 8 channels keep pixels 16 bytes apart, so that ldmatrix meets no bank twice whatever
// the tap's shift. Weights lie in the order in which lanes want them: one 16-byte load gives a lane
// both B fragments of 16 outputs. Inside a group outputs are permuted so that a lane's four sums of
// a pixel are four neighbouring channels: 8-byte stores, 32 bytes a pixel together.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backend/cuda/convolution_portable.h"
#include "backend/cuda/pixels.cuh"
#include "backend/cuda/ptx/mma_sync.cuh"
#include "backend/cuda/runtime.h"

namespace upres::cuda {
namespace {

constexpr int kTile = 16;  // pixels a side

/// How many warps share a tile. Four rows a warp use a loaded weight four times; with 48 or 64
/// outputs their sums take so many registers that too few warps fit (measured: 21 % slower).
template <int kGroups>
constexpr int kWarps = kGroups >= 3 ? 8 : 4;
template <int kGroups>
constexpr int kWarpRows = kTile / kWarps<kGroups>;
template <int kGroups>
constexpr int kThreads = kWarps<kGroups> * 32;
/// Blocks that shall fit on a multiprocessor at once: bounds their registers.
template <int kKernel, int kGroups>
constexpr int kBlocks = kKernel == 5 || kGroups >= 3 ? 2 : 5 - kGroups;

/// Which outputs a block of threads makes: a tile of groups, and of an input that is enlarged by 2
/// one of the output's four phases, each of which is a convolution of 2x2 of the small input.
template <int kKernel>
struct Part {
  static constexpr bool kPhased = kKernel == kPhasedKernel;
  static constexpr int kFactor = kPhased ? 2 : 1;
  int tile, phase_x, phase_y;

  __device__ Part() {
    const int tiles = int(gridDim.z) / (kFactor * kFactor);
    const int phase = int(blockIdx.z) / tiles;
    tile = int(blockIdx.z) % tiles;
    phase_x = phase % kFactor;
    phase_y = phase / kFactor;
  }
};

template <int kKernel>
constexpr int kSide = kTile + kKernel - 1;  // of the tile with its border
template <int kKernel>
constexpr int kPixelBytes = 2 * kSide<kKernel> * kSide<kKernel> * 16;
template <int kKernel, int kGroups>
constexpr int kStageBytes = kPixelBytes<kKernel> + kKernel * kKernel * kGroups * kGroupBytes;

// Load -------------------------------------------------------------------------------------------

/// Where this thread's share of a tile's pixels lies, in 16 bytes from a group's first pixel: the
/// same for all groups, and dear to compute.
template <int kKernel, int kGroups>
struct PixelLoads {
  static constexpr int kStep = kThreads<kGroups>;
  static constexpr int kPixels = kSide<kKernel> * kSide<kKernel>;
  static constexpr int kCount = (2 * kPixels + kStep - 1) / kStep;
  static constexpr uint32_t kOutside = ~0u;
  uint32_t offsets[kCount];

  __device__ PixelLoads(const ConvolutionArguments& args, const Part<kKernel>& part, int x0,
                        int y0) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int index = i * kStep + threadIdx.x;
      const int pixel = index / 2;
      const int x = x0 + part.phase_x + pixel % kSide<kKernel> - kKernel / 2;
      const int y = y0 + part.phase_y + pixel / kSide<kKernel> - kKernel / 2;
      const Activations& in = args.in;
      const bool inside =
          x >= 0 && x < in.width * args.enlarge && y >= 0 && y < in.height * args.enlarge;
      const uint32_t from = args.enlarge == 1
                                ? (y - in.first_row) * in.width + x
                                : (y / args.enlarge - in.first_row) * in.width + x / args.enlarge;
      offsets[i] = inside ? from * uint32_t(in.block / 8) + index % 2 : kOutside;
    }
  }
};

/// A group's channels of the first pixel that is there.
__device__ __half* first_of(const Activations& value, int group) {
  return reinterpret_cast<__half*>(value.data) + group * kGroup / value.block * value.block_stride +
         group * kGroup % value.block;
}

/// Starts to bring 16 input channels and their weights into a stage.
template <int kKernel, int kGroups>
__device__ void load_stage(const ConvolutionArguments& args,
                           const PixelLoads<kKernel, kGroups>& loads, uint32_t stage,
                           int in_group) {
  using Loads = PixelLoads<kKernel, kGroups>;
  constexpr int kStep = Loads::kStep;
  const auto* in = reinterpret_cast<const uint4*>(first_of(args.in, in_group));
  const uint32_t pixels = stage + (threadIdx.x % 2 * Loads::kPixels + threadIdx.x / 2) * 16;
#pragma unroll
  for (int i = 0; i < Loads::kCount; ++i) {
    const bool needed =
        (i + 1) * kStep <= 2 * Loads::kPixels || i * kStep + int(threadIdx.x) < 2 * Loads::kPixels;
    const bool inside = loads.offsets[i] != Loads::kOutside;
    if (needed) {
      ptx::copy_async(pixels + i * (kStep / 2) * 16, in + (inside ? loads.offsets[i] : 0), inside);
    }
  }
  constexpr int kVectors = kKernel * kKernel * kGroups * 32;
  const uint4* weights = static_cast<const uint4*>(args.weights) +
                         (ptrdiff_t(blockIdx.z) * args.in_groups + in_group) * kVectors +
                         threadIdx.x;
  const uint32_t to = stage + kPixelBytes<kKernel> + threadIdx.x * 16;
#pragma unroll
  for (int i = 0; i < kVectors; i += kStep) {
    if (i + kStep <= kVectors || i + int(threadIdx.x) < kVectors) {
      ptx::copy_async(to + i * 16, weights + i, true);
    }
  }
  ptx::commit_copies();
}

// Compute ----------------------------------------------------------------------------------------

/// What a lane sums of eight outputs: two neighbouring ones of a pixel, then of the pixel eight
/// further on. In half precision there are two such sums, of every other tap: added in single
/// precision they are 3 dB nearer to the truth than one.
using SingleSums = float[4];
using HalfSums = uint32_t[2][2];

__device__ void add_product(SingleSums& sums, int, const uint32_t (&a)[4], uint32_t b0,
                            uint32_t b1) {
  ptx::multiply_add(sums, a, b0, b1);
}
__device__ void add_product(HalfSums& sums, int tap, const uint32_t (&a)[4], uint32_t b0,
                            uint32_t b1) {
  ptx::multiply_add(sums[tap % 2], a, b0, b1);
}

template <int kKernel, int kGroups, typename Sums>
__device__ void multiply_stage(Sums (&sums)[kWarpRows<kGroups>][kGroups][2], uint32_t stage,
                               const std::byte* stage_memory) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  constexpr int kPixels = kSide<kKernel> * kSide<kKernel>;
  const uint32_t pixels =
      stage + ((lane / 16) * kPixels + warp * kWarpRows<kGroups> * kSide<kKernel> + lane % 16) * 16;
  const auto* weights = reinterpret_cast<const uint4*>(stage_memory + kPixelBytes<kKernel>) + lane;
#pragma unroll
  for (int tap = 0; tap < kKernel * kKernel; ++tap) {
    const int shift = tap / kKernel * kSide<kKernel> + tap % kKernel;
    uint32_t a[kWarpRows<kGroups>][4];
#pragma unroll
    for (int row = 0; row < kWarpRows<kGroups>; ++row) {
      ptx::load_matrices(a[row], pixels + (row * kSide<kKernel> + shift) * 16);
    }
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      const uint4 b = weights[(tap * kGroups + group) * 32];
#pragma unroll
      for (int row = 0; row < kWarpRows<kGroups>; ++row) {
        add_product(sums[row][group][0], tap, a[row], b.x, b.y);
        add_product(sums[row][group][1], tap, a[row], b.z, b.w);
      }
    }
  }
}

// Epilogue ---------------------------------------------------------------------------------------

__device__ float2 pair_of(const SingleSums& sums, int pixel) {
  return {sums[2 * pixel], sums[2 * pixel + 1]};
}
__device__ float2 pair_of(const HalfSums& sums, int pixel) {
  const float2 a = __half22float2(reinterpret_cast<const __half2&>(sums[0][pixel]));
  const float2 b = __half22float2(reinterpret_cast<const __half2&>(sums[1][pixel]));
  return {a.x + b.x, a.y + b.y};
}

__device__ float activated(float value, float slope) {
  return value > 0 ? value : value * slope;
}

/// Four neighbouring outputs of a pixel, from `channel` on, after bias and activation. `pixel`: 0
/// or 1 of the lane's.
template <typename Sums>
__device__ void begin(const ConvolutionArguments& args, const Sums (&sums)[2], int pixel,
                      int channel, float (&values)[4]) {
  const float4 bias = *reinterpret_cast<const float4*>(args.biases + channel);
  const float4 slope = *reinterpret_cast<const float4*>(args.slopes + channel);
  const float2 low = pair_of(sums[0], pixel);
  const float2 high = pair_of(sums[1], pixel);
  values[0] = activated(low.x + bias.x, slope.x);
  values[1] = activated(low.y + bias.y, slope.y);
  values[2] = activated(high.x + bias.z, slope.z);
  values[3] = activated(high.y + bias.w, slope.w);
}

union FourHalves {
  uint2 bits;
  __half2 pairs[2];
};

/// Where a channel of a value's pixel is, `offset` being that of its first one in a block.
__device__ uint2* four_at(const Activations& value, int64_t offset, int channel) {
  const int shift = value.block == kBlock ? kBlockShift : kBlockShift - 1;
  return reinterpret_cast<uint2*>(reinterpret_cast<__half*>(value.data) + offset +
                                  (channel >> shift) * value.block_stride +
                                  (channel & (value.block - 1)));
}

/// Addends lie as the output does: see launch_portable().
__device__ void store_activations(const ConvolutionArguments& args, float (&values)[4],
                                  int64_t offset, int channel) {
#pragma unroll
  for (int i = 0; i < kMostAddends; ++i) {
    if (i >= args.addend_count) break;
    FourHalves addend;
    addend.bits = *four_at(args.addends[i], offset, channel);
    const float2 low = __half22float2(addend.pairs[0]);
    const float2 high = __half22float2(addend.pairs[1]);
    values[0] += args.addend_scales[i] * low.x;
    values[1] += args.addend_scales[i] * low.y;
    values[2] += args.addend_scales[i] * high.x;
    values[3] += args.addend_scales[i] * high.y;
  }
  FourHalves result;
  result.pairs[0] = __floats2half2_rn(values[0], values[1]);
  result.pairs[1] = __floats2half2_rn(values[2], values[3]);
  *four_at(args.out, offset, channel) = result.bits;
}

/// A lane has of a pixel's 48 outputs those of one row of the 4 x 4 pixels that they are shuffled
/// to: see pixel_shuffle.
__device__ void store_shuffled(const ConvolutionArguments& args, float (&colours)[3][4], int x,
                               int y) {
  const __half* base = pointer_to<__half>(args.base, x, y, 0);
  float values[12];
#pragma unroll
  for (int i = 0; i < 12; ++i) values[i] = colours[i % 3][i / 3] + __half2float(base[i % 3]);
  if (!store_four_pixels(args.samples, true, 4 * x, 4 * y + int(threadIdx.x) % 4, values)) {
    *args.not_finite = 1;
  }
}

/// Stores one pixel of a lane: its four outputs of every group.
template <int kKernel, int kGroups, typename Sums>
__device__ void finish(const ConvolutionArguments& args, const Part<kKernel>& part,
                       const Sums (&sums)[kGroups][2], int pixel, int in_x, int in_y) {
  const int quarter = int(threadIdx.x) % 4;
  const Activations& out = args.out;
  const int x = in_x * part.kFactor + part.phase_x;
  const int y = in_y * part.kFactor + part.phase_y;
  if (in_x >= args.in.width * args.enlarge || y >= out.first_row + out.rows) return;
  const int64_t offset = (int64_t(y - out.first_row) * out.width + x) * out.block;
  float values[kGroups][4];
#pragma unroll
  for (int group = 0; group < kGroups; ++group) {
    const int channel = (part.tile * kGroups + group) * kGroup + quarter * 4;
    begin(args, sums[group], pixel, channel, values[group]);
    if (args.sink == Sink::activations && channel < args.out_groups * kGroup) {
      store_activations(args, values[group], offset, channel);
    }
  }
  if (kGroups == 1 && args.sink == Sink::samples && quarter == 0) {
    if (!store_samples(args.samples, x, y, 0, 3, values[0])) *args.not_finite = 1;
  }
  if constexpr (kGroups == 3) {
    if (args.sink == Sink::shuffled_samples) store_shuffled(args, values, x, y);
  }
}

template <int kKernel, int kGroups, typename Sums>
__global__ void __launch_bounds__(kThreads<kGroups>, kBlocks<kKernel, kGroups>)
    convolve(const ConvolutionArguments args) {
  extern __shared__ __align__(128) std::byte memory[];
  const auto shared = uint32_t(__cvta_generic_to_shared(memory));
  constexpr int kStage = kStageBytes<kKernel, kGroups>;
  const int x0 = blockIdx.x * kTile;
  const Part<kKernel> part;
  const int y0 = args.out.first_row / part.kFactor + blockIdx.y * kTile;
  Sums sums[kWarpRows<kGroups>][kGroups][2] = {};
  const PixelLoads<kKernel, kGroups> loads(args, part, x0, y0);
  load_stage<kKernel, kGroups>(args, loads, shared, 0);
  for (int in_group = 0; in_group < args.in_groups; ++in_group) {
    const int stage = in_group % 2 * kStage;
    ptx::wait_copies<0>();
    __syncthreads();  // the stage is whole, and nobody reads the other one any more
    if (in_group + 1 < args.in_groups) {
      load_stage<kKernel, kGroups>(args, loads, shared + (kStage - stage), in_group + 1);
    }
    multiply_stage<kKernel, kGroups>(sums, shared + stage, memory + stage);
  }
  const int x = x0 + threadIdx.x % 32 / 4;
  const int y = y0 + threadIdx.x / 32 * kWarpRows<kGroups>;
#pragma unroll
  for (int row = 0; row < kWarpRows<kGroups>; ++row) {
    finish<kKernel, kGroups>(args, part, sums[row], 0, x, y + row);
    finish<kKernel, kGroups>(args, part, sums[row], 1, x + 8, y + row);
  }
}

// Launch -----------------------------------------------------------------------------------------

struct Variant {
  int kernel;
  int groups;
  int threads;
  int shared_bytes;
  void (*run)(ConvolutionArguments);
  void (*run_fast)(ConvolutionArguments);  ///< null: there is none
};

/// Kernels of 1 and 5 are too seldom to have one; of four groups the sums are too many.
template <int kKernel, int kGroups>
constexpr auto fast_kernel() -> void (*)(ConvolutionArguments) {
  if constexpr (kKernel == 1 || kKernel == 5 || kGroups > kMostFastGroups) {
    return nullptr;
  } else {
    return convolve<kKernel, kGroups, HalfSums>;
  }
}

template <int kKernel, int kGroups>
constexpr Variant variant() {
  return {kKernel,
          kGroups,
          kThreads<kGroups>,
          2 * kStageBytes<kKernel, kGroups>,
          convolve<kKernel, kGroups, SingleSums>,
          fast_kernel<kKernel, kGroups>()};
}

/// Within the 99 KiB of shared memory that GeForce's blocks have.
const Variant kVariants[] = {variant<1, 1>(), variant<1, 2>(), variant<2, 1>(), variant<2, 2>(),
                             variant<2, 3>(), variant<2, 4>(), variant<3, 1>(), variant<3, 2>(),
                             variant<3, 3>(), variant<3, 4>(), variant<5, 1>(), variant<5, 2>()};

const Variant* find_variant(int kernel, int groups) {
  for (const Variant& variant : kVariants) {
    if (variant.kernel == kernel && variant.groups == groups) return &variant;
  }
  return nullptr;
}

}  // namespace

bool prepare_portable(int kernel, int tile_groups) {
  const Variant* variant = find_variant(kernel, tile_groups);
  if (!variant) return false;
  for (const auto run : {variant->run, variant->run_fast}) {
    if (!run) continue;
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(run),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, variant->shared_bytes),
          "preparing a convolution");
  }
  return true;
}

void launch_portable(int kernel, int tile_groups, bool fast, ConvolutionArguments args,
                     cudaStream_t stream) {
  align_addends(args);
  const Variant* variant = find_variant(kernel, tile_groups);
  const auto tiles = [](int length, int side) { return unsigned((length + side - 1) / side); };
  const int factor = kernel == kPhasedKernel ? 2 : 1;
  const dim3 grid(tiles(args.in.width * args.enlarge, kTile), tiles(args.out.rows / factor, kTile),
                  tiles(args.out_groups, tile_groups) * unsigned(factor * factor));
  const auto run = fast && variant->run_fast ? variant->run_fast : variant->run;
  run<<<grid, variant->threads, size_t(variant->shared_bytes), stream>>>(args);
  check(cudaGetLastError(), "starting a convolution");
}

}  // namespace upres::cuda
