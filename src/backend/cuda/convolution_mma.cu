// SPDX-License-Identifier: Apache-2.0
// Direct convolution by mma.sync m16n8k16, fp16 in; sums in fp32, or in fp16 where that is asked
// for.
//
// A block of four or eight warps makes 16 x 16 pixels of up to 64 output channels. Sixteen input
// channels at a time, it brings the tile with its border and all weights of these channels into
// shared memory (cp.async, while it works on the sixteen before), and then takes every tap from
// there: an activation is read once a tile, not nine times.
//
//     a warp: 4 or 2 rows of 16 pixels, each the A (16 pixels x 16 channels) of an mma. A row
//     serves the vertical taps of the rows above and below it, too: it is loaded once for all
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

// Of a block, in pixels.
constexpr int kWidth = 16;
constexpr int kHeight = 16;

/// Groups of outputs a warp makes, and rows of pixels. Four rows of 32 outputs use a loaded weight
/// four times and a loaded pixel twelve times; sums of more take so many registers that too few
/// warps fit (measured: 21 % slower). 64 outputs are two warps' work; 48 stay with one, which
/// shuffles them.
template <int kGroups>
constexpr int kWarpGroups = kGroups == 4 ? 2 : kGroups;
template <int kGroups>
constexpr int kWarpRows = kGroups == 3 ? 2 : 4;
template <int kGroups>
constexpr int kWarps = kHeight / kWarpRows<kGroups> * kGroups / kWarpGroups<kGroups>;
template <int kGroups>
constexpr int kThreads = kWarps<kGroups> * 32;
/// Blocks that shall fit on a multiprocessor at once: bounds their registers.
template <int kGroups>
constexpr int kBlocks = kGroups >= 3 ? 2 : 3;

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

/// What of a block's tile a warp makes.
template <int kGroups>
struct WarpPart {
  static constexpr int kParts = kGroups / kWarpGroups<kGroups>;
  int first_group = int(threadIdx.x) / 32 % kParts * kWarpGroups<kGroups>;
  int first_row = int(threadIdx.x) / 32 / kParts * kWarpRows<kGroups>;
};

/// A row of the tile with its border; all of it.
template <int kKernel>
constexpr int kSpan = kWidth + kKernel - 1;
template <int kKernel>
constexpr int kPixels = kSpan<kKernel> * (kHeight + kKernel - 1);
template <int kKernel>
constexpr int kPixelBytes = 2 * kPixels<kKernel> * 16;
template <int kKernel, int kGroups>
constexpr int kStageBytes = kPixelBytes<kKernel> + kKernel * kKernel * kGroups * kGroupBytes;

// Load -------------------------------------------------------------------------------------------

/// Where this thread's share of a tile's pixels lies, in 16 bytes from a group's first pixel: the
/// same for all groups, and dear to compute.
template <int kKernel, int kGroups>
struct PixelLoads {
  static constexpr int kStep = kThreads<kGroups>;
  static constexpr int kCount = (2 * kPixels<kKernel> + kStep - 1) / kStep;
  static constexpr uint32_t kOutside = ~0u;
  uint32_t offsets[kCount];

  __device__ PixelLoads(const ConvolutionArguments& args, const Part<kKernel>& part, int x0,
                        int y0) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int index = i * kStep + threadIdx.x;
      const int pixel = index / 2;
      const int x = x0 + part.phase_x + pixel % kSpan<kKernel> - kKernel / 2;
      const int y = y0 + part.phase_y + pixel / kSpan<kKernel> - kKernel / 2;
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

/// Starts to copy every kStep-th of kVectors vectors, this thread's. The offsets are part of the
/// instructions: registers of addresses would be waited for.
template <int kStep, int kVectors, int kDone = 0>
__device__ void copy_vectors(uint32_t to, const uint4* from) {
  if constexpr (kDone < kVectors) {
    if (kDone + kStep <= kVectors || kDone + int(threadIdx.x) < kVectors) {
      ptx::copy_async_at<kDone * 16>(to, from);
    }
    copy_vectors<kStep, kVectors, kDone + kStep>(to, from);
  }
}

/// Starts to bring 16 input channels and their weights into a stage.
template <int kKernel, int kGroups>
__device__ void load_stage(const ConvolutionArguments& args,
                           const PixelLoads<kKernel, kGroups>& loads, uint32_t stage,
                           int in_group) {
  using Loads = PixelLoads<kKernel, kGroups>;
  constexpr int kStep = Loads::kStep;
  const auto* in = reinterpret_cast<const uint4*>(first_of(args.in, in_group));
  const uint32_t pixels = stage + (threadIdx.x % 2 * kPixels<kKernel> + threadIdx.x / 2) * 16;
#pragma unroll
  for (int i = 0; i < Loads::kCount; ++i) {
    const bool needed = (i + 1) * kStep <= 2 * kPixels<kKernel> ||
                        i * kStep + int(threadIdx.x) < 2 * kPixels<kKernel>;
    const bool inside = loads.offsets[i] != Loads::kOutside;
    if (needed) {
      ptx::copy_async(pixels + i * (kStep / 2) * 16, in + (inside ? loads.offsets[i] : 0), inside);
    }
  }
  constexpr int kVectors = kKernel * kKernel * kGroups * 32;
  const uint4* weights = static_cast<const uint4*>(args.weights) +
                         (ptrdiff_t(blockIdx.z) * args.in_groups + in_group) * kVectors +
                         threadIdx.x;
  copy_vectors<kStep, kVectors>(stage + kPixelBytes<kKernel> + threadIdx.x * 16, weights);
  ptx::commit_copies();
}

// Compute ----------------------------------------------------------------------------------------

/// What a lane sums of eight outputs: two neighbouring ones of a pixel, then of the pixel eight
/// further on. In half precision there are two such sums, of every other row of taps: added in
/// single precision they are 3 dB nearer to the truth than one.
using SingleSums = float[4];
using HalfSums = uint32_t[2][2];

__device__ void add_product(SingleSums& sums, int, const uint32_t (&a)[4], uint32_t b0,
                            uint32_t b1) {
  ptx::multiply_add(sums, a, b0, b1);
}
__device__ void add_product(HalfSums& sums, int tap_y, const uint32_t (&a)[4], uint32_t b0,
                            uint32_t b1) {
  ptx::multiply_add(sums[tap_y % 2], a, b0, b1);
}

template <int kKernel, int kGroups, typename Sums>
__device__ void multiply_stage(Sums (&sums)[kWarpRows<kGroups>][kWarpGroups<kGroups>][2],
                               const WarpPart<kGroups>& warp, uint32_t stage,
                               const std::byte* stage_memory) {
  const int lane = threadIdx.x % 32;
  constexpr int kRows = kWarpRows<kGroups> + kKernel - 1;
  const uint32_t pixels =
      stage + ((lane / 16) * kPixels<kKernel> + warp.first_row * kSpan<kKernel> + lane % 16) * 16;
  const auto* weights = reinterpret_cast<const uint4*>(stage_memory + kPixelBytes<kKernel>) +
                        warp.first_group * 32 + lane;
#pragma unroll 1  // unrolled, columns would overlap more than there are registers for
  for (int tap_x = 0; tap_x < kKernel; ++tap_x) {
    uint32_t a[kRows][4];
#pragma unroll
    for (int tap_y = 0; tap_y < kKernel; ++tap_y) {
      // As late as can be: a row takes four registers from here to its last tap.
#pragma unroll
      for (int row = tap_y == 0 ? 0 : kWarpRows<kGroups> + tap_y - 1;
           row < kWarpRows<kGroups> + tap_y; ++row) {
        ptx::load_matrices(a[row], pixels + (row * kSpan<kKernel> + tap_x) * 16);
      }
      const int tap = tap_y * kKernel + tap_x;
#pragma unroll
      for (int group = 0; group < kWarpGroups<kGroups>; ++group) {
        const uint4 b = weights[(tap * kGroups + group) * 32];
#pragma unroll
        for (int row = 0; row < kWarpRows<kGroups>; ++row) {
          add_product(sums[row][group][0], tap_y, a[row + tap_y], b.x, b.y);
          add_product(sums[row][group][1], tap_y, a[row + tap_y], b.z, b.w);
        }
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

/// A lane's outputs: of every row two pixels, eight apart, and of every group four neighbouring
/// channels of them.
template <int kGroups>
using Values = float[kWarpRows<kGroups>][kWarpGroups<kGroups>][2][4];

/// Bias and activation. `channel`: the lane's first one of the first group.
template <int kGroups, typename Sums>
__device__ void finish_sums(const ConvolutionArguments& args,
                            const Sums (&sums)[kWarpRows<kGroups>][kWarpGroups<kGroups>][2],
                            int channel, Values<kGroups>& values) {
#pragma unroll
  for (int group = 0; group < kWarpGroups<kGroups>; ++group) {
    const float4 bias = *reinterpret_cast<const float4*>(args.biases + channel + group * kGroup);
    const float4 slope = *reinterpret_cast<const float4*>(args.slopes + channel + group * kGroup);
#pragma unroll
    for (int row = 0; row < kWarpRows<kGroups>; ++row) {
#pragma unroll
      for (int pixel = 0; pixel < 2; ++pixel) {
        const float2 low = pair_of(sums[row][group][0], pixel);
        const float2 high = pair_of(sums[row][group][1], pixel);
        values[row][group][pixel][0] = activated(low.x + bias.x, slope.x);
        values[row][group][pixel][1] = activated(low.y + bias.y, slope.y);
        values[row][group][pixel][2] = activated(high.x + bias.z, slope.z);
        values[row][group][pixel][3] = activated(high.y + bias.w, slope.w);
      }
    }
  }
}

/// Where a lane's outputs are in the activations that are made, and in the addends, which lie
/// alike: see launch_portable().
struct Place {
  int64_t pixel;   ///< the first one's number
  int row, eight;  ///< from a row to the next, and to the second pixel: in pixels
  int rows;        ///< that exist
  bool columns[2];
  int channel;

  __device__ bool has(int row, int pixel) const { return row < rows && columns[pixel]; }
  /// The first pixel's channels of a group.
  __device__ __half* in(const Activations& value, int group) const {
    const int first = channel + group * kGroup;
    const int shift = value.block == kBlock ? kBlockShift : kBlockShift - 1;
    return reinterpret_cast<__half*>(value.data) + pixel * value.block +
           (first >> shift) * value.block_stride + (first & (value.block - 1));
  }
  __device__ int offset(const Activations& value, int row, int pixel) const {
    return (row * this->row + pixel * eight) * value.block;
  }
};

union FourHalves {
  uint2 bits;
  __half2 pairs[2];
};

/// Loads a group's addends at once, so that they are waited for once.
template <int kGroups>
__device__ void add(const Activations& addend, float scale, const Place& place, int group,
                    Values<kGroups>& values) {
  FourHalves loaded[kWarpRows<kGroups>][2];
  const __half* from = place.in(addend, group);
#pragma unroll
  for (int row = 0; row < kWarpRows<kGroups>; ++row) {
#pragma unroll
    for (int pixel = 0; pixel < 2; ++pixel) {
      if (!place.has(row, pixel)) continue;
      loaded[row][pixel].bits =
          *reinterpret_cast<const uint2*>(from + place.offset(addend, row, pixel));
    }
  }
#pragma unroll
  for (int row = 0; row < kWarpRows<kGroups>; ++row) {
#pragma unroll
    for (int pixel = 0; pixel < 2; ++pixel) {
      const float2 low = __half22float2(loaded[row][pixel].pairs[0]);
      const float2 high = __half22float2(loaded[row][pixel].pairs[1]);
      float(&sum)[4] = values[row][group][pixel];
      sum[0] += scale * low.x;
      sum[1] += scale * low.y;
      sum[2] += scale * high.x;
      sum[3] += scale * high.y;
    }
  }
}

template <int kGroups>
__device__ void store_activations(const ConvolutionArguments& args, const Place& place,
                                  Values<kGroups>& values) {
#pragma unroll
  for (int group = 0; group < kWarpGroups<kGroups>; ++group) {
    if (place.channel + group * kGroup >= args.out_groups * kGroup) break;
#pragma unroll
    for (int i = 0; i < kMostAddends; ++i) {
      if (i >= args.addend_count) break;
      add<kGroups>(args.addends[i], args.addend_scales[i], place, group, values);
    }
    __half* to = place.in(args.out, group);
#pragma unroll
    for (int row = 0; row < kWarpRows<kGroups>; ++row) {
#pragma unroll
      for (int pixel = 0; pixel < 2; ++pixel) {
        const float(&sum)[4] = values[row][group][pixel];
        FourHalves result;
        result.pairs[0] = __floats2half2_rn(sum[0], sum[1]);
        result.pairs[1] = __floats2half2_rn(sum[2], sum[3]);
        if (!place.has(row, pixel)) continue;
        *reinterpret_cast<uint2*>(to + place.offset(args.out, row, pixel)) = result.bits;
      }
    }
  }
}

/// A lane has of a pixel's 48 outputs those of one row of the 4 x 4 pixels that they are shuffled
/// to: see pixel_shuffle.
__device__ void store_shuffled(const ConvolutionArguments& args, const float (&groups)[3][2][4],
                               int pixel, int x, int y) {
  const __half* base = pointer_to<__half>(args.base, x, y, 0);
  float values[12];
#pragma unroll
  for (int i = 0; i < 12; ++i) {
    values[i] = groups[i % 3][pixel][i / 3] + __half2float(base[i % 3]);
  }
  if (!store_four_pixels(args.samples, true, 4 * x, 4 * y + int(threadIdx.x) % 4, values)) {
    *args.not_finite = 1;
  }
}

/// Stores what a lane makes, whose first pixel of the input is in_x, in_y.
template <int kKernel, int kGroups, typename Sums>
__device__ void finish(const ConvolutionArguments& args, const Part<kKernel>& part,
                       const WarpPart<kGroups>& warp,
                       const Sums (&sums)[kWarpRows<kGroups>][kWarpGroups<kGroups>][2], int in_x,
                       int in_y) {
  const int quarter = int(threadIdx.x) % 4;
  const Activations& out = args.out;
  const int width = args.in.width * args.enlarge;
  const int x = in_x * part.kFactor + part.phase_x;
  const int y = in_y * part.kFactor + part.phase_y;
  const Place place{int64_t(y - out.first_row) * out.width + x,
                    out.width * part.kFactor,
                    8 * part.kFactor,
                    (out.first_row + out.rows - y + part.kFactor - 1) / part.kFactor,
                    {in_x < width, in_x + 8 < width},
                    (part.tile * kGroups + warp.first_group) * kGroup + quarter * 4};
  Values<kGroups> values;
  finish_sums<kGroups>(args, sums, place.channel, values);
  if (args.sink == Sink::activations) return store_activations<kGroups>(args, place, values);
#pragma unroll
  for (int row = 0; row < kWarpRows<kGroups>; ++row) {
#pragma unroll
    for (int pixel = 0; pixel < 2; ++pixel) {
      if (!place.has(row, pixel)) continue;
      const int out_x = x + pixel * place.eight;
      const int out_y = y + row * part.kFactor;
      if constexpr (kGroups == 1) {
        if (quarter != 0) continue;
        if (!store_samples(args.samples, out_x, out_y, 0, 3, values[row][0][pixel])) {
          *args.not_finite = 1;
        }
      } else if constexpr (kGroups == 3) {
        store_shuffled(args, values[row], pixel, out_x, out_y);
      }
    }
  }
}

template <int kKernel, int kGroups, typename Sums>
__global__ void __launch_bounds__(kThreads<kGroups>, kBlocks<kGroups>)
    convolve(const ConvolutionArguments args) {
  extern __shared__ __align__(128) std::byte memory[];
  const auto shared = uint32_t(__cvta_generic_to_shared(memory));
  constexpr int kStage = kStageBytes<kKernel, kGroups>;
  const int x0 = blockIdx.x * kWidth;
  const Part<kKernel> part;
  const int y0 = args.out.first_row / part.kFactor + blockIdx.y * kHeight;
  const WarpPart<kGroups> warp;
  Sums sums[kWarpRows<kGroups>][kWarpGroups<kGroups>][2] = {};
  const PixelLoads<kKernel, kGroups> loads(args, part, x0, y0);
  load_stage<kKernel, kGroups>(args, loads, shared, 0);
  for (int in_group = 0; in_group < args.in_groups; ++in_group) {
    const int stage = in_group % 2 * kStage;
    ptx::wait_copies<0>();
    __syncthreads();  // the stage is whole, and nobody reads the other one any more
    if (in_group + 1 < args.in_groups) {
      load_stage<kKernel, kGroups>(args, loads, shared + (kStage - stage), in_group + 1);
    }
    multiply_stage<kKernel, kGroups>(sums, warp, shared + stage, memory + stage);
  }
  finish(args, part, warp, sums, x0 + threadIdx.x % 32 / 4, y0 + warp.first_row);
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
  const dim3 grid(tiles(args.in.width * args.enlarge, kWidth),
                  tiles(args.out.rows / factor, kHeight),
                  tiles(args.out_groups, tile_groups) * unsigned(factor * factor));
  const auto run = fast && variant->run_fast ? variant->run_fast : variant->run;
  run<<<grid, variant->threads, size_t(variant->shared_bytes), stream>>>(args);
  check(cudaGetLastError(), "starting a convolution");
}

}  // namespace upres::cuda
