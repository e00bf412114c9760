// SPDX-License-Identifier: Apache-2.0
// Direct convolution by mma.sync m16n8k16, fp16 in and fp32 sums.
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
#include <cstddef>
#include <cstdint>

#include "backend/cuda/activations.h"
#include "backend/cuda/convolution_kernel.h"
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
template <int kGroups>
constexpr int kBlocks = kGroups >= 3 ? 2 : kGroups == 2 ? 3 : 4;

template <int kKernel>
constexpr int kSide = kTile + kKernel - 1;  // of the tile with its border
template <int kKernel>
constexpr int kPixelBytes = 2 * kSide<kKernel> * kSide<kKernel> * 16;
template <int kKernel, int kGroups>
constexpr int kStageBytes = kPixelBytes<kKernel> + kKernel * kKernel * kGroups * kGroupBytes;

// One instruction a function --------------------------------------------------------------------

/// 16 bytes from global to shared memory; zeros where `inside` is false.
__device__ void copy_async(uint32_t to, const void* from, bool inside) {
  const int bytes = inside ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes));
}
__device__ void commit_copies() {
  asm volatile("cp.async.commit_group;");
}
template <int kPending>
__device__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending));
}

/// Four 8x8 matrices; lane l gives the address of row l % 8 of matrix l / 8.
__device__ void load_matrices(uint32_t (&fragment)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(address));
}

/// sums += A (16 pixels x 16 inputs) * B (16 inputs x 8 outputs).
__device__ void multiply_add(float (&sums)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Load -------------------------------------------------------------------------------------------

/// Where this thread's share of a tile's pixels lies, in 16 bytes from the input's beginning: the
/// same for all channels, and dear to compute.
template <int kKernel, int kGroups>
struct PixelLoads {
  static constexpr int kStep = kThreads<kGroups>;
  static constexpr int kPixels = kSide<kKernel> * kSide<kKernel>;
  static constexpr int kCount = (2 * kPixels + kStep - 1) / kStep;
  static constexpr uint32_t kOutside = ~0u;
  uint32_t offsets[kCount];

  __device__ PixelLoads(const ConvolutionArguments& args, int x0, int y0) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int index = i * kStep + threadIdx.x;
      const int pixel = index / 2;
      const int x = x0 + pixel % kSide<kKernel> - kKernel / 2;
      const int y = y0 + pixel / kSide<kKernel> - kKernel / 2;
      const bool inside = x >= 0 && x < args.width && y >= 0 && y < args.height;
      const uint32_t from = args.enlarge == 1 ? y * args.in_width + x
                                              : y / args.enlarge * args.in_width + x / args.enlarge;
      offsets[i] = inside ? from * uint32_t(args.in_stride / 8) + index % 2 : kOutside;
    }
  }
};

/// Starts to bring 16 input channels and their weights into a stage.
template <int kKernel, int kGroups>
__device__ void load_stage(const ConvolutionArguments& args,
                           const PixelLoads<kKernel, kGroups>& loads, uint32_t stage,
                           int in_group) {
  using Loads = PixelLoads<kKernel, kGroups>;
  constexpr int kStep = Loads::kStep;
  const auto* in = reinterpret_cast<const uint4*>(args.in) + in_group * (kGroup / 8);
  const uint32_t pixels = stage + (threadIdx.x % 2 * Loads::kPixels + threadIdx.x / 2) * 16;
#pragma unroll
  for (int i = 0; i < Loads::kCount; ++i) {
    const bool needed =
        (i + 1) * kStep <= 2 * Loads::kPixels || i * kStep + int(threadIdx.x) < 2 * Loads::kPixels;
    const bool inside = loads.offsets[i] != Loads::kOutside;
    if (needed) {
      copy_async(pixels + i * (kStep / 2) * 16, in + (inside ? loads.offsets[i] : 0), inside);
    }
  }
  constexpr int kVectors = kKernel * kKernel * kGroups * 32;
  const uint4* weights =
      args.weights + (ptrdiff_t(blockIdx.z) * args.in_groups + in_group) * kVectors + threadIdx.x;
  const uint32_t to = stage + kPixelBytes<kKernel> + threadIdx.x * 16;
#pragma unroll
  for (int i = 0; i < kVectors; i += kStep) {
    if (i + kStep <= kVectors || i + int(threadIdx.x) < kVectors) {
      copy_async(to + i * 16, weights + i, true);
    }
  }
  commit_copies();
}

// Compute ----------------------------------------------------------------------------------------

template <int kKernel, int kGroups>
__device__ void multiply_stage(float (&sums)[kWarpRows<kGroups>][kGroups][2][4], uint32_t stage,
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
      load_matrices(a[row], pixels + (row * kSide<kKernel> + shift) * 16);
    }
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      const uint4 b = weights[(tap * kGroups + group) * 32];
#pragma unroll
      for (int row = 0; row < kWarpRows<kGroups>; ++row) {
        multiply_add(sums[row][group][0], a[row], b.x, b.y);
        multiply_add(sums[row][group][1], a[row], b.z, b.w);
      }
    }
  }
}

// Epilogue ---------------------------------------------------------------------------------------

union FourHalves {
  uint2 bits;
  __half2 pairs[2];
};

/// Stores four neighbouring channels of a pixel.
__device__ void finish(const ConvolutionArguments& args, float4 sums, int x, int y, int channel) {
  if (x >= args.width || y >= args.height) return;
  const float4 bias = *reinterpret_cast<const float4*>(args.biases + channel);
  const float4 slope =
      *reinterpret_cast<const float4*>(args.biases + args.out_groups * kGroup + channel);
  const auto activate = [](float value, float factor) {
    return value > 0 ? value : value * factor;
  };
  float4 value = {activate(sums.x + bias.x, slope.x), activate(sums.y + bias.y, slope.y),
                  activate(sums.z + bias.z, slope.z), activate(sums.w + bias.w, slope.w)};
  const ptrdiff_t pixel = ptrdiff_t(y) * args.width + x;
#pragma unroll
  for (int i = 0; i < kMostAddends; ++i) {
    if (i >= args.addend_count) break;
    FourHalves addend;
    addend.bits =
        *reinterpret_cast<const uint2*>(args.addends[i] + pixel * args.addend_strides[i] + channel);
    const float2 low = __half22float2(addend.pairs[0]);
    const float2 high = __half22float2(addend.pairs[1]);
    value.x += args.addend_scales[i] * low.x;
    value.y += args.addend_scales[i] * low.y;
    value.z += args.addend_scales[i] * high.x;
    value.w += args.addend_scales[i] * high.y;
  }
  FourHalves result;
  result.pairs[0] = __floats2half2_rn(value.x, value.y);
  result.pairs[1] = __floats2half2_rn(value.z, value.w);
  *reinterpret_cast<uint2*>(args.out + pixel * args.out_stride + channel) = result.bits;
}

template <int kKernel, int kGroups>
__global__ void __launch_bounds__(kThreads<kGroups>, kBlocks<kGroups>)
    convolve(const ConvolutionArguments args) {
  extern __shared__ __align__(128) std::byte memory[];
  const auto shared = uint32_t(__cvta_generic_to_shared(memory));
  constexpr int kStage = kStageBytes<kKernel, kGroups>;
  const int x0 = blockIdx.x * kTile;
  const int y0 = blockIdx.y * kTile;
  float sums[kWarpRows<kGroups>][kGroups][2][4] = {};
  const PixelLoads<kKernel, kGroups> loads(args, x0, y0);
  load_stage<kKernel, kGroups>(args, loads, shared, 0);
  for (int in_group = 0; in_group < args.in_groups; ++in_group) {
    const int stage = in_group % 2 * kStage;
    wait_copies<0>();
    __syncthreads();  // the stage is whole, and nobody reads the other one any more
    if (in_group + 1 < args.in_groups) {
      load_stage<kKernel, kGroups>(args, loads, shared + (kStage - stage), in_group + 1);
    }
    multiply_stage<kKernel, kGroups>(sums, shared + stage, memory + stage);
  }
  const int lane = threadIdx.x % 32;
  const int y = y0 + threadIdx.x / 32 * kWarpRows<kGroups>;
#pragma unroll
  for (int group = 0; group < kGroups; ++group) {
    const int out_group = blockIdx.z * kGroups + group;
    if (out_group >= args.out_groups) break;
    const int channel = out_group * kGroup + lane % 4 * 4;
#pragma unroll
    for (int row = 0; row < kWarpRows<kGroups>; ++row) {
      const auto& s = sums[row][group];
      finish(args, {s[0][0], s[0][1], s[1][0], s[1][1]}, x0 + lane / 4, y + row, channel);
      finish(args, {s[0][2], s[0][3], s[1][2], s[1][3]}, x0 + lane / 4 + 8, y + row, channel);
    }
  }
}

// Launch -----------------------------------------------------------------------------------------

struct Variant {
  int kernel;
  int groups;
  int threads;
  int shared_bytes;
  void (*run)(ConvolutionArguments);
};

template <int kKernel, int kGroups>
constexpr Variant variant() {
  return {kKernel, kGroups, kThreads<kGroups>, 2 * kStageBytes<kKernel, kGroups>,
          convolve<kKernel, kGroups>};
}

/// Within the 99 KiB of shared memory that GeForce's blocks have.
const Variant kVariants[] = {variant<1, 1>(), variant<1, 2>(), variant<1, 3>(), variant<1, 4>(),
                             variant<3, 1>(), variant<3, 2>(), variant<3, 3>(), variant<3, 4>(),
                             variant<5, 1>(), variant<5, 2>()};

const Variant* find_variant(int kernel, int groups) {
  for (const Variant& variant : kVariants) {
    if (variant.kernel == kernel && variant.groups == groups) return &variant;
  }
  return nullptr;
}

}  // namespace

bool prepare_convolution(int kernel, int tile_groups) {
  const Variant* variant = find_variant(kernel, tile_groups);
  if (!variant) return false;
  check(cudaFuncSetAttribute(reinterpret_cast<const void*>(variant->run),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, variant->shared_bytes),
        "preparing a convolution");
  return true;
}

void launch_convolution(int kernel, int tile_groups, const ConvolutionArguments& args,
                        cudaStream_t stream) {
  const Variant* variant = find_variant(kernel, tile_groups);
  const auto tiles = [](int length, int side) { return unsigned((length + side - 1) / side); };
  const dim3 grid(tiles(args.width, kTile), tiles(args.height, kTile),
                  tiles(args.out_groups, tile_groups));
  variant->run<<<grid, variant->threads, size_t(variant->shared_bytes), stream>>>(args);
  check(cudaGetLastError(), "starting a convolution");
}

}  // namespace upres::cuda
