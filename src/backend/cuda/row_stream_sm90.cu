// SPDX-License-Identifier: Apache-2.0
// Convolutions of 3x3 for Hopper: wgmma fed by TMA, fp16 in and fp32 sums.
//
// A stream (one warpgroup of four warps) goes down, or up, a strip of 64 columns and reads every
// input row once:
//
//     input row i:  | x0-1 | x0 ................ x0+63 | x0+64 |   a unit: 66 pixels x 64 channels,
//                      A of tap dx: 64 pixels from x0-1+dx on      one box of TMA
//
// The three vertical taps stand side by side in B, so that one multiplication adds the row to the
// three output rows that it is a part of:
//
//     B:     [ ky 2 | ky 1 | ky 0 ] x outputs      (upwards: ky 0, 1, 2)
//     sums:  [ row i-1 | row i | row i+1 ]         the first is complete: it is stored, the others
//                                                  move up, and a new one begins with the bias
//
// So input rows are a queue, with no row kept for the next: 3 taps x inputs/16 multiplications a
// row. A stream's first and last rows feed fewer outputs: B and sums are narrower there.
//
// An input that counts 2 x 2 times (nearest-neighbour enlargement) is not enlarged: of the output's
// four phases each is a convolution of 2x2 of the small input, whose weights are sums of the nine.
// A block makes one column phase; an input row feeds four output rows, two of which it completes:
//
//     B:     [ row 2i-1: w2 | row 2i: w1+w2 | row 2i+1: w0+w1 | row 2i+2: w0 ] x outputs
//
// Strips of rows, one strip after the other, are cut into equal pieces, one a stream. A block has
// two of them, which take turns: while one's multiplications run the other stores its row.
//
//     shared memory   weights: [unit][dx][8 inputs][rows of B][8]
//                     units of stream 0, units of stream 1
//                     barriers
//     a unit          [32 channels, twice][66 pixels][32], 64-byte swizzle (of an input of 16
//                     channels [66 pixels][16], 32 bytes): TMA's and the multiplication's act on
//                     the absolute address both, so that a tap is one pixel further on
//
// The order of outputs in B gives a lane neighbouring channels of its pixels: 16-byte stores.
//
// Two convolutions, the network's last, may be made at once: a row of the first one's outputs never
// leaves the registers, where sums lie as the tensor cores want pixels. One multiplication by all
// 27 weights of an input gives its products, which wait in shared memory until those of three rows
// are there to be added up. A strip is then 62 columns, and two rows more are made of each piece.
//
//     a row     64 pixels x 64 channels  x  [row of the weights][column][colour]  ->  27 products
//     products  the last three rows, [27][64 pixels], a stream's own
//
// Limits, and what was measured: docs/gpu-notes.md. Power is what most layers run out of.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

#include "backend/cuda/pixels.cuh"
#include "backend/cuda/ptx/tma.cuh"
#include "backend/cuda/ptx/wgmma.cuh"
#include "backend/cuda/row_stream.h"
#include "backend/cuda/runtime.h"

namespace upres::cuda {
namespace {

constexpr int kAlignment = 128;  // of TMA's boxes
constexpr int kStreams = 2;      // in a block of threads
constexpr int kStreamThreads = 128;
constexpr int kThreads = (kStreams + 1) * kStreamThreads;  // the last warpgroup brings the units
constexpr int kSharedBytes = 232448;                       // that a block can have
constexpr int kFew = 4;  // multiplications that are left when the other stream may begin
constexpr uint32_t kAllLanes = 0xffffffff;
// From one product's pixels to the next one's: lanes that store together then meet all banks.
constexpr int kProductsStride = kStrip + 4;
constexpr int kProductsRow = kLastProducts * kProductsStride;

/// What follows from a variant.
template <RowStreamVariant kV>
struct Shape {
  static constexpr bool kNarrow = kV.inputs == kGroup;
  static constexpr int kUnits = kNarrow ? 1 : kV.inputs / kUnitChannels;
  static constexpr bool kHalf = !kNarrow && kV.inputs % kUnitChannels > 0;
  static constexpr int kAllUnits = kUnits + kHalf;
  static constexpr int kPixelBytes = (kNarrow ? kGroup : kBlock) * 2;  ///< of a block's pixel
  static constexpr int kBlockBytes = kUnitPixels * kPixelBytes;
  static constexpr int kUnitBytes = kNarrow ? kBlockBytes : 2 * kBlockBytes;
  static constexpr int kSlotBytes = (kUnitBytes + kAlignment - 1) / kAlignment * kAlignment;
  static constexpr int kColumnTaps = kV.enlarged ? 2 : 3;
  static constexpr int kRowTaps = kV.enlarged ? 4 : 3;
  static constexpr int kRowsOfB = kRowTaps * kV.outputs;
  static constexpr int kRegisters = kV.outputs / 2;  ///< sums of an output row in a lane
  static constexpr int kValues = kV.outputs / 4;     ///< of them, of one pixel
  static constexpr int kWeightBytes = kV.inputs * kColumnTaps * kRowsOfB * 2;
  static constexpr bool kConvolved = kV.sink == Sink::convolved_samples;
  static constexpr int kLastBytes = kConvolved ? kV.outputs * kLastOutputs * 2 : 0;
  static constexpr int kBiasBytes = kConvolved ? kV.outputs * 4 : 0;  ///< no registers are left
  /// Of a stream.
  static constexpr int kProductsBytes =
      kConvolved ? (3 * kProductsRow * 4 + kAlignment - 1) / kAlignment * kAlignment : 0;
  static constexpr int kBarrierBytes = 1024;
  static constexpr int kRing = kWeightBytes + kLastBytes + kBiasBytes + kStreams * kProductsBytes;
  static constexpr int kSlots =
      std::min(24, (kSharedBytes - kRing - kBarrierBytes) / (kStreams * kSlotBytes));
  static constexpr int kBarriers = kRing + kStreams * kSlots * kSlotBytes;
  static constexpr int kUsedBytes = kBarriers + (1 + 2 * kStreams * kSlots) * 8;
  static_assert(kRing % kAlignment == 0, "slots begin at its multiples");
  static_assert(kSlots > kAllUnits, "a row and the beginning of the next must fit");
  static_assert(kUsedBytes <= kSharedBytes);
};

// Work -------------------------------------------------------------------------------------------

/// A piece of a strip, in rows of the input's size.
struct Segment {
  int x, y, rows;
};

/// Strips of rows, one after the other, from `next` to `end`.
template <RowStreamVariant kV>
struct Share {
  static constexpr int kMargin = margin_of(kV.sink);
  static constexpr int kColumns = kStrip - 2 * kMargin;

  int64_t next, end;
  int height;

  __device__ Share(const RowStreamArguments& args, int stream) {
    const Activations& in = args.convolution.in;
    const Activations& out = args.convolution.out;
    height = out.rows / args.convolution.enlarge;
    const int strips = (in.width + kColumns - 1) / kColumns;
    const int64_t all = int64_t(strips) * height;
    const int streams = int(gridDim.x) / args.splits * kStreams;
    next = all * stream / streams;
    end = all * (stream + 1) / streams;
  }
  /// The next piece, its rows counted from the first that is made.
  __device__ Segment take() {
    const int strip = int(next / height);
    const int y = int(next - int64_t(strip) * height);
    const int rows = int(min(end - next, int64_t(height - y)));
    next += rows;
    return {strip * kColumns - kMargin, y - kMargin, rows + 2 * kMargin};
  }
  /// Input rows that are to be read.
  __device__ int input_rows() const {
    Share rest = *this;
    int rows = 0;
    while (rest.next < rest.end) rows += rest.take().rows + 2;
    return rows;
  }
};

// The queue of units ------------------------------------------------------------------------------

__device__ void wait(uint32_t barrier, uint32_t parity) {
  // A wait of seconds is a bug: better an error than a machine that hangs.
  constexpr int64_t kLongest = 8'000'000'000;
  if (ptx::try_barrier(barrier, parity)) return;
  const int64_t start = clock64();
  while (!ptx::try_barrier(barrier, parity)) {
    if (clock64() - start > kLongest) __trap();
  }
}

/// A stream's slots, as its producer and its consumers count through them.
template <RowStreamVariant kV>
struct Ring {
  uint32_t slots, full, empty;  ///< addresses of the first slot and barriers
  uint32_t slot = 0, phase = 0;

  __device__ Ring(uint32_t shared, int stream)
      : slots(shared + Shape<kV>::kRing + stream * Shape<kV>::kSlots * Shape<kV>::kSlotBytes),
        full(shared + Shape<kV>::kBarriers + 8 + 2 * stream * Shape<kV>::kSlots * 8),
        empty(full + Shape<kV>::kSlots * 8) {}
  __device__ uint32_t address() const { return slots + slot * Shape<kV>::kSlotBytes; }
  __device__ uint32_t full_barrier() const { return full + slot * 8; }
  __device__ uint32_t empty_barrier() const { return empty + slot * 8; }
  __device__ void advance() {
    if (++slot == Shape<kV>::kSlots) {
      slot = 0;
      phase ^= 1;
    }
  }
};

/// One thread brings a stream's units, in the order in which they are used.
template <RowStreamVariant kV>
__device__ void produce(const RowStreamArguments& args, uint32_t shared, int stream_in_block,
                        int stream) {
  using S = Shape<kV>;
  const Activations& in = args.convolution.in;
  const int first = args.convolution.out.first_row / args.convolution.enlarge - in.first_row;
  Ring<kV> ring(shared, stream_in_block);
  for (Share<kV> share(args, stream); share.next < share.end;) {
    const Segment segment = share.take();
    int y = first + (args.step > 0 ? segment.y - 1 : segment.y + segment.rows);
    for (int i = 0; i < segment.rows + 2; ++i, y += args.step) {
#pragma unroll
      for (int unit = 0; unit < S::kAllUnits; ++unit) {
        wait(ring.empty_barrier(), ring.phase ^ 1);
        const bool whole = unit < S::kUnits;
        ptx::expect_bytes(ring.full_barrier(), whole ? S::kUnitBytes : S::kBlockBytes);
        ptx::copy_box(ring.address(), whole ? args.units : args.half, 0, segment.x - 1, y, 2 * unit,
                      ring.full_barrier());
        ring.advance();
      }
    }
  }
}

// Multiplication ---------------------------------------------------------------------------------

/// Keeps the compiler from moving work on a register across this place.
__device__ void pin(float& value) {
  asm volatile("" : "+f"(value)::"memory");
}

/// A move that the compiler cannot see through. Without it sums of two widths share registers, and
/// it then lets no multiplication run beside another ("wgmma serialized", C7511).
__device__ float moved(float value, int zero) {
  return __int_as_float(__float_as_int(value) ^ zero);
}

/// Issues a unit's multiplications into the sums of kCount output rows, of B's kFirst on. `almost`
/// runs when few are left.
template <RowStreamVariant kV, int kFirst, int kCount, bool kWhole, typename Almost>
__device__ void multiply_unit(float (&sums)[kCount * Shape<kV>::kRegisters], uint32_t unit_low,
                              uint32_t weights_low, const Almost& almost) {
  using S = Shape<kV>;
  constexpr int kTakes = S::kNarrow ? 1 : (kWhole ? kUnitChannels : kBlock) / kGroup;
  constexpr uint32_t kUnitHigh = ptx::descriptor_high(
      8 * S::kPixelBytes, S::kNarrow ? ptx::Swizzle::bytes32 : ptx::Swizzle::bytes64);
  constexpr uint32_t kWeightsHigh = ptx::descriptor_high(8 * 16, ptx::Swizzle::none);
  ptx::fence_warpgroup();
#pragma unroll
  for (int dx = 0; dx < S::kColumnTaps; ++dx) {
#pragma unroll
    for (int take = 0; take < kTakes; ++take) {
      if (dx * kTakes + take == std::max(0, S::kColumnTaps * kTakes - kFew)) almost();
      const uint32_t a = dx * S::kPixelBytes + take / 2 * S::kBlockBytes + take % 2 * kGroup * 2;
      const uint32_t b = ((dx * kTakes + take) * 2 * S::kRowsOfB + kFirst * kV.outputs) * 16;
      ptx::multiply_add<kCount * kV.outputs>(sums, ptx::descriptor(unit_low + a / 16, kUnitHigh),
                                             ptx::descriptor(weights_low + b / 16, kWeightsHigh));
    }
  }
  ptx::commit_multiplications();
}

/// Where a stream's operands are.
struct Operands {
  uint32_t weights_low;  ///< descriptor of the first weight
  uint32_t shift;        ///< of the first column tap, in 16 bytes
  bool first_lane;
};

/// Descriptor of the unit in the present slot. The reduction says that all lanes have the same, so
/// that it stands in a uniform register.
template <RowStreamVariant kV>
__device__ uint32_t unit_low(const Ring<kV>& ring, const Operands& operands) {
  return __reduce_or_sync(kAllLanes, ptx::descriptor_low(ring.address(), 16) + operands.shift);
}

/// One input row, whose first unit is there, and is `first_low`. `almost` runs when most is issued,
/// `issued` when all is.
template <RowStreamVariant kV, int kFirst, int kCount, typename Almost, typename Issued>
__device__ void multiply_row(float (&sums)[kCount * Shape<kV>::kRegisters], Ring<kV>& ring,
                             const Operands& operands, uint32_t first_low, const Almost& almost,
                             const Issued& issued) {
  using S = Shape<kV>;
#pragma unroll
  for (float& sum : sums) pin(sum);
  uint32_t last = 0;
#pragma unroll
  for (int unit = 0; unit < S::kAllUnits; ++unit) {
    if (unit > 0) wait(ring.full_barrier(), ring.phase);
    const uint32_t low = unit == 0 ? first_low : unit_low(ring, operands);
    const uint32_t weights =
        operands.weights_low + unit * (kUnitChannels / 8) * S::kColumnTaps * S::kRowsOfB;
    const auto almost_all = [&] {
      if (unit + 1 == S::kAllUnits) almost();
    };
    if (unit < S::kUnits) {
      multiply_unit<kV, kFirst, kCount, true>(sums, low, weights, almost_all);
    } else {
      multiply_unit<kV, kFirst, kCount, false>(sums, low, weights, almost_all);
    }
    if (unit > 0) {
      ptx::wait_multiplications<1>();  // the unit before is read
      if (operands.first_lane) ptx::arrive(last);
    }
    last = ring.empty_barrier();
    ring.advance();
  }
  issued();
  ptx::wait_multiplications<0>();
#pragma unroll
  for (float& sum : sums) pin(sum);
  if (operands.first_lane) ptx::arrive(last);
}

// Epilogue ---------------------------------------------------------------------------------------

/// Where a lane is: its pixels are 16 * warp + lane / 4 of a strip, and 8 further on.
struct Place {
  int pixel, quarter;
  int split, stream_in_block;

  __device__ Place(int split, int stream_in_block)
      : pixel(threadIdx.x / 32 % 4 * 16 + threadIdx.x % 32 / 4),
        quarter(threadIdx.x % 4),
        split(split),
        stream_in_block(stream_in_block) {}
};

__device__ __half* halves(const Activations& value) {
  return reinterpret_cast<__half*>(value.data);
}

/// Adds a scaled value's eight channels.
__device__ void add_eight(float (&values)[8], const uint4& addend, float scale) {
  const __half2* pairs = reinterpret_cast<const __half2*>(&addend);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = __half22float2(pairs[i]);
    values[2 * i] += pair.x * scale;
    values[2 * i + 1] += pair.y * scale;
  }
}

/// Stores output rows as activations, with slopes and addends.
template <RowStreamVariant kV>
class ActivationsWriter {
 public:
  __device__ ActivationsWriter(const RowStreamArguments& args, const Place& place)
      : args_(args.convolution), place_(place), step_(args.step) {
    const int groups = kV.outputs / 32;
    const int split = kV.enlarged ? place.split / 2 : place.split;
    block_ = split * groups;
#pragma unroll
    for (int v = 0; v < kValues; ++v) {
      slopes_[v] = args_.slopes[split * kV.outputs + output_of(kV.sink, place.quarter, v)];
    }
  }

  /// Prepares for the rows of a segment, from the first one on in the direction of the scan.
  __device__ void start(const Segment& segment) {
    const Activations& out = args_.out;
    const int factor = kV.enlarged ? 2 : 1;
    const int x = segment.x + place_.pixel;
    inside_[0] = x < args_.in.width;
    inside_[1] = x + 8 < args_.in.width;
    const int phase = kV.enlarged ? place_.split % 2 : 0;
    const int row = (step_ > 0 ? segment.y : segment.y + segment.rows) * factor - (step_ < 0);
    const int64_t pixel = int64_t(row) * out.width + x * factor + phase;
    offset_ = pixel * kBlock + place_.quarter * 8;
    row_ = int64_t(out.width) * kBlock * step_;
  }

  /// Brings what is added to the next row.
  __device__ void prepare() {
    if constexpr (kV.addends) {
#pragma unroll
      for (int i = 0; i < kLoaded; ++i) {
        if (i >= args_.addend_count) break;
        const Activations& from = args_.addends[i];
        const __half* at = halves(from) + block_ * from.block_stride + offset_;
#pragma unroll
        for (int p = 0; p < 2; ++p) {
          if (inside_[p]) {
            loaded_[i][p] = *reinterpret_cast<const uint4*>(at + p * kPixels);
          }
        }
      }
    }
  }

  __device__ void finish(const float* sums) {
#pragma unroll
    for (int group = 0; group < kV.outputs / 32; ++group) {
#pragma unroll
      for (int p = 0; p < 2; ++p) {
        float values[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
          const float sum = sums[group * 16 + i / 2 * 4 + p * 2 + i % 2];
          values[i] = fmaf(fminf(sum, 0.0f), slopes_[group * 8 + i], fmaxf(sum, 0.0f));
        }
        if constexpr (kV.addends) {
#pragma unroll
          for (int i = 0; i < kLoaded; ++i) {
            if (i < args_.addend_count) add_eight(values, loaded_[i][p], args_.addend_scales[i]);
          }
        }
        uint32_t words[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const __half2 pair = __floats2half2_rn(values[2 * i], values[2 * i + 1]);
          words[i] = *reinterpret_cast<const uint32_t*>(&pair);
        }
        ptx::store_16_if(
            inside_[p],
            halves(args_.out) + (block_ + group) * args_.out.block_stride + offset_ + p * kPixels,
            words);
      }
    }
    offset_ += row_;
  }

  __device__ void issue() {}
  template <int kPending>
  __device__ void store() {}
  __device__ void end_segment() {}
  __device__ void end() {}

 private:
  static constexpr int kValues = Shape<kV>::kValues;
  static constexpr int kLoaded = 2;
  static constexpr int kPixels = 8 * kBlock * (kV.enlarged ? 2 : 1);  // to the second pixel

  const ConvolutionArguments& args_;
  Place place_;
  int step_;
  int block_;  ///< of the output, the first
  float slopes_[kValues];
  bool inside_[2] = {};
  int64_t offset_ = 0, row_ = 0;
  uint4 loaded_[kV.addends ? kLoaded : 1][2] = {};
};

/// Stores output rows as the picture's samples: of the three outputs, or of 48 that are shuffled.
/// A row is kept, and stored while the stream's next one is multiplied.
template <RowStreamVariant kV>
class SamplesWriter {
 public:
  __device__ SamplesWriter(const RowStreamArguments& args, const Place& place)
      : args_(args.convolution), place_(place), step_(args.step) {}

  __device__ void start(const Segment& segment) {
    x_ = segment.x + place_.pixel;
    y_ = args_.out.first_row / args_.enlarge +
         (step_ > 0 ? segment.y : segment.y + segment.rows - 1);
  }

  /// Brings the pixels of the base.
  __device__ void prepare() {
    if constexpr (kV.sink == Sink::shuffled_samples) {
#pragma unroll
      for (int p = 0; p < 2; ++p) {
        if (x_ + 8 * p >= args_.in.width) continue;
        base_[p] = *reinterpret_cast<const uint2*>(
            halves(args_.base) +
            (int64_t(y_ - args_.base.first_row) * args_.base.width + x_ + 8 * p) * kGroup);
      }
    }
  }

  __device__ void issue() {}

  __device__ void finish(const float* sums) {
#pragma unroll
    for (int p = 0; p < 2; ++p) {
#pragma unroll
      for (int v = 0; v < kValues; ++v) values_[p][v] = sums[v / 2 * 4 + p * 2 + v % 2];
      if constexpr (kV.sink == Sink::shuffled_samples) {
        const __half2* pairs = reinterpret_cast<const __half2*>(&base_[p]);
        const float2 red_green = __half22float2(pairs[0]);
        const float blue = __low2float(pairs[1]);
        const float base[3] = {red_green.x, red_green.y, blue};
#pragma unroll
        for (int v = 0; v < kValues; ++v) values_[p][v] += base[v % 3];
      }
    }
    kept_ = true;
    y_ += step_;
  }

  template <int kPending>
  __device__ void store() {
    if (!kept_) return;
    kept_ = false;
    const int y = y_ - step_;
#pragma unroll
    for (int p = 0; p < 2; ++p) {
      const int x = x_ + 8 * p;
      const bool inside = x < args_.in.width;
      if constexpr (kV.sink == Sink::shuffled_samples) {
        finite_ &=
            store_four_pixels(args_.samples, inside, 4 * x, 4 * y + place_.quarter, values_[p]);
      } else if (inside && place_.quarter < 2) {
        finite_ &= store_samples(args_.samples, x, y, 2 * place_.quarter, 3, values_[p]);
      }
    }
  }

  __device__ void end_segment() { store<0>(); }

  __device__ void end() {
    if (!finite_) *args_.not_finite = 1;
  }

 private:
  static constexpr int kValues = Shape<kV>::kValues;

  const ConvolutionArguments& args_;
  Place place_;
  int step_;
  int x_ = 0, y_ = 0;
  bool finite_ = true;
  bool kept_ = false;
  float values_[2][kValues] = {};  ///< of the row that is kept
  uint2 base_[2] = {};
};

/// Passes output rows through the last convolution, and stores the picture's samples. A row's
/// multiplication stands before those of the stream's next row, and its products are stored and
/// added up while these run.
template <RowStreamVariant kV>
class ConvolvedWriter {
 public:
  __device__ ConvolvedWriter(const RowStreamArguments& args, const Place& place)
      : args_(args.convolution), place_(place), step_(args.step), slope_(args_.slopes[0]) {}

  __device__ void start(const Segment& segment) {
    x_ = segment.x;
    y_ = args_.out.first_row + (step_ > 0 ? segment.y : segment.y + segment.rows - 1) - step_;
    rows_ = 0;
  }

  __device__ void prepare() {}

  /// Multiplies what the last finish() left.
  __device__ void issue() {
#pragma unroll
    for (float& sum : sums_) sum = 0;
    const uint32_t weights_low = ptx::descriptor_low(
        uint32_t(__cvta_generic_to_shared(memory())) + S::kWeightBytes, kLastOutputs * 16);
    ptx::fence_warpgroup();
#pragma unroll
    for (int group = 0; group < kV.outputs / kGroup; ++group) {
      ptx::multiply_add(sums_, pixels_[group],
                        ptx::descriptor(weights_low + group * 2 * kLastOutputs,
                                        ptx::descriptor_high(8 * 16, ptx::Swizzle::none)));
    }
    ptx::commit_multiplications();
  }

  /// Stores the products, when only kPending later multiplications are still on their way, and the
  /// row of samples that is then complete.
  template <int kPending>
  __device__ void store() {
    ptx::wait_multiplications<kPending>();
    if (rows_ == 0) return;
    float* row = products() + slot_ * kProductsRow + place_.pixel;
#pragma unroll
    for (int i = 0; i < kLastOutputs / 2; ++i) {
      const int n = i / 4 * 8 + place_.quarter * 2 + i % 2;
      if (n < kLastProducts) row[n * kProductsStride + i / 2 % 2 * 8] = sums_[i];
    }
    ptx::sync_named(1 + kStreams + place_.stream_in_block, kStreamThreads);
    const int middle = slot_ == 0 ? 2 : slot_ - 1;
    const int oldest = 3 - slot_ - middle;
    if (rows_ > 2) add_up({oldest, middle, slot_});
    // The oldest row is read before the stream's next turn, and overwritten after it.
    slot_ = oldest;
  }

  /// Activates a row. What lies outside the picture is zero.
  __device__ void finish(const float* sums) {
    ++rows_;
    y_ += step_;
    const bool row_inside = y_ >= 0 && y_ < args_.in.height;
    uint32_t inside[2];
#pragma unroll
    for (int p = 0; p < 2; ++p) {
      const int x = x_ + place_.pixel + p * 8;
      inside[p] = row_inside && x >= 0 && x < args_.in.width ? ~0u : 0;
    }
    const auto* biases =
        reinterpret_cast<const float2*>(memory() + S::kWeightBytes + S::kLastBytes);
    const auto activated = [&](float sum) {
      return fmaf(fminf(sum, 0.0f), slope_, fmaxf(sum, 0.0f));
    };
    float2 bias;
#pragma unroll
    for (int i = 0; i < kV.outputs / 4; ++i) {  // pairs of outputs, of two pixels by turns
      if (i % 2 == 0) bias = biases[output_of(kV.sink, place_.quarter, i) / 2];
      const __half2 pair =
          __floats2half2_rn(activated(sums[2 * i] + bias.x), activated(sums[2 * i + 1] + bias.y));
      pixels_[i / 4][i % 4] = *reinterpret_cast<const uint32_t*>(&pair) & inside[i % 2];
    }
  }

  /// Stores what the last row leaves.
  __device__ void end_segment() {
    issue();
    ptx::sync_named(1 + kStreams + place_.stream_in_block, kStreamThreads);
    store<0>();
  }

  __device__ void end() {
    if (!finite_) *args_.not_finite = 1;
  }

 private:
  using S = Shape<kV>;

  __device__ static std::byte* memory() {
    extern __shared__ __align__(1024) std::byte memory[];
    return memory;
  }
  /// Of the stream's last three rows.
  __device__ float* products() const {
    return reinterpret_cast<float*>(memory() + S::kWeightBytes + S::kLastBytes + S::kBiasBytes +
                                    place_.stream_in_block * S::kProductsBytes);
  }

  /// The sample row of the middle one of three whose products are in these slots. A thread adds up
  /// two colours of a pixel, or one.
  __device__ void add_up(const int (&slots)[3]) {
    const int column = int(threadIdx.x) % kStrip;
    const int colour = int(threadIdx.x) % kStreamThreads / kStrip * 2;
    const int x = x_ + column;
    if (column == 0 || column > Share<kV>::kColumns || x >= args_.in.width) return;
    float values[2];
    ptx::load_pair(values[0], values[1], args_.last_biases + colour);
#pragma unroll
    for (int row = 0; row < 3; ++row) {
      const float* from =
          products() + slots[row] * kProductsRow + colour * kProductsStride + column - 1;
#pragma unroll
      for (int dx = 0; dx < 3; ++dx) {
        const float* at = from + (row * 9 + dx * 3) * kProductsStride + dx;
        values[0] += at[0];
        if (colour == 0) values[1] += at[kProductsStride];
      }
    }
    finite_ &= store_samples(args_.samples, x, y_ - step_, colour, 3, values);
  }

  const ConvolutionArguments& args_;
  Place place_;
  int step_;
  float slope_;
  int x_ = 0, y_ = 0;  ///< of the strip, of the row that is finished
  int rows_ = 0, slot_ = 0;
  bool finite_ = true;
  uint32_t pixels_[kV.outputs / kGroup][4] = {};  ///< of that row, activated
  float sums_[kLastOutputs / 2] = {};             ///< products of the row before
};

template <RowStreamVariant kV>
using Writer = std::conditional_t<
    kV.sink == Sink::activations, ActivationsWriter<kV>,
    std::conditional_t<kV.sink == Sink::convolved_samples, ConvolvedWriter<kV>, SamplesWriter<kV>>>;

// A stream ---------------------------------------------------------------------------------------

/// The streams of a block issue their multiplications in turn, by two named barriers.
class Turn {
 public:
  __device__ Turn(int stream, int rows) : stream_(stream), rows_(rows) {
    if (stream == kStreams - 1 && rows > 0) ptx::arrive_named(1, kBoth);  // stream 0 is first
  }
  __device__ void wait() { ptx::sync_named(1 + stream_, kBoth); }
  __device__ void pass() {
    ++done_;
    if (stream_ != kStreams - 1 || done_ != rows_) {
      ptx::arrive_named(1 + (stream_ + 1) % kStreams, kBoth);
    }
  }
  /// The other one may have more rows.
  __device__ void finish() {
    while (done_ < rows_) {
      wait();
      pass();
    }
  }

 private:
  static constexpr int kBoth = kStreams * kStreamThreads;
  int stream_;
  int rows_;  ///< of the longer stream
  int done_ = 0;
};

/// Sums of kCount output rows that begin: the biases.
template <RowStreamVariant kV, int kCount>
__device__ void begin_rows(float* sums, const float (&biases)[Shape<kV>::kValues]) {
#pragma unroll
  for (int i = 0; i < kCount * Shape<kV>::kRegisters; ++i) {
    const int j = i % Shape<kV>::kRegisters;
    sums[i] = biases[j / 4 * 2 + j % 2];
  }
}

template <RowStreamVariant kV>
__device__ void consume(const RowStreamArguments& args, uint32_t shared, int stream_in_block,
                        int stream, int split, int longest) {
  using S = Shape<kV>;
  constexpr int kR = S::kRegisters;
  constexpr int kDone = kV.enlarged ? 2 : 1;  // output rows that an input row completes
  const Place place(split, stream_in_block);
  const int phase = kV.enlarged ? split % 2 : 0;
  const Operands operands{ptx::descriptor_low(shared, S::kRowsOfB * 16),
                          uint32_t(phase * S::kPixelBytes / 16), threadIdx.x % 32 == 0};
  Ring<kV> ring(shared, stream_in_block);
  Writer<kV> writer(args, place);
  Turn turn(stream_in_block, longest);
  float biases[S::kValues] = {};
  if constexpr (!S::kConvolved) {  // whose writer adds them
#pragma unroll
    for (int v = 0; v < S::kValues; ++v) {
      biases[v] = args.convolution.biases[(kV.enlarged ? split / 2 : split) * kV.outputs +
                                          output_of(kV.sink, place.quarter, v)];
    }
  }
  const int zero = args.zero;
  bool ready = false;  // whether the next row's first unit is known to be there
  uint32_t low = 0;    // that unit: found out before the turn comes, not in it
  const auto before = [&] {
    if (!ready) wait(ring.full_barrier(), ring.phase);
    low = unit_low(ring, operands);
    turn.wait();
  };
  const auto almost = [&] { turn.pass(); };
  const auto issued = [&] { ready = ptx::test_barrier(ring.full_barrier(), ring.phase); };
  // The same of an input row before which an output row may have been finished.
  const auto before_next = [&] {
    before();
    writer.issue();
  };
  const auto next_issued = [&] {
    issued();
    writer.template store<1>();
  };
  wait(shared + S::kBarriers, 0);  // the weights

  for (Share<kV> share(args, stream); share.next < share.end;) {
    const Segment segment = share.take();
    writer.start(segment);
    float sums[S::kRowTaps * kR];
    {
      // The first input row is only the last of B's rows; the second one all but the first.
      constexpr int kTaps = S::kRowTaps;
      float one[kR];
      begin_rows<kV, 1>(one, biases);
      before();
      multiply_row<kV, kTaps - 1, 1>(one, ring, operands, low, almost, issued);
      float most[(kTaps - 1) * kR];
#pragma unroll
      for (int i = 0; i < kR; ++i) most[i] = moved(one[i], zero);
      begin_rows<kV, kTaps - 2>(most + kR, biases);
      if constexpr (kV.enlarged) writer.prepare();
      before();
      multiply_row<kV, 1, kTaps - 1>(most, ring, operands, low, almost, issued);
      // An enlarged input's second row completes an output row.
      constexpr int kStored = kV.enlarged ? 1 : 0;
      if constexpr (kV.enlarged) writer.finish(most);
      constexpr int kKept = kTaps - 1 - kStored;
#pragma unroll
      for (int i = 0; i < kKept * kR; ++i) sums[i] = moved(most[i + kStored * kR], zero);
      begin_rows<kV, kTaps - kKept>(sums + kKept * kR, biases);
    }
    // Steps 2 to rows - 1: a whole row of B, kDone rows of the output.
#pragma unroll 1
    for (int i = 2; i < segment.rows; ++i) {
      writer.prepare();
      before_next();
      multiply_row<kV, 0, S::kRowTaps>(sums, ring, operands, low, almost, next_issued);
#pragma unroll
      for (int row = 0; row < kDone; ++row) writer.finish(sums + row * kR);
      // Moved behind the compiler's back: else the moves sink to where the next row's first
      // multiplication waits for them. Two kinds, for two pipes.
      const float minus_zero = __int_as_float(0x80000000 | zero);
      const auto shifted = [&](float value, int lane) {
        if (kV.outputs == 64) return value;  // its sums leave no registers for it
        return lane & 2 ? value + minus_zero : moved(value, zero);
      };
      constexpr int kKept = (S::kRowTaps - kDone) * kR;
#pragma unroll
      for (int k = 0; k < kKept; ++k) sums[k] = shifted(sums[k + kDone * kR], k);
#pragma unroll
      for (int k = 0; k < kDone * kR; ++k) {
        const int j = k % kR;
        sums[kKept + k] = shifted(biases[j / 4 * 2 + j % 2], k);
      }
    }
    // The last two input rows: B without its last row, and only the first of it.
    if (segment.rows > 1) {
      constexpr int kTaps = S::kRowTaps - 1;
      float most[kTaps * kR];
#pragma unroll
      for (int i = 0; i < kTaps * kR; ++i) most[i] = moved(sums[i], zero);
      writer.prepare();
      before_next();
      multiply_row<kV, 0, kTaps>(most, ring, operands, low, almost, next_issued);
#pragma unroll
      for (int row = 0; row < kDone; ++row) writer.finish(most + row * kR);
#pragma unroll
      for (int i = 0; i < kR; ++i) sums[i] = moved(most[i + kDone * kR], zero);
    }
    float one[kR];
#pragma unroll
    for (int i = 0; i < kR; ++i) one[i] = moved(sums[i], zero);
    writer.prepare();
    before_next();
    multiply_row<kV, 0, 1>(one, ring, operands, low, almost, next_issued);
    writer.finish(one);
    writer.end_segment();
  }
  turn.finish();
  writer.end();
}

/// Of the variant with this number in kRowStreamVariants.
template <int kNumber>
__global__ void __launch_bounds__(kThreads, 1)
    row_stream(const __grid_constant__ RowStreamArguments args) {
  constexpr RowStreamVariant kV = kRowStreamVariants[kNumber];
  using S = Shape<kV>;
  extern __shared__ __align__(1024) std::byte memory[];
  const auto shared = uint32_t(__cvta_generic_to_shared(memory));
  // Uniform, as the compiler sees it.
  const int warp = __shfl_sync(kAllLanes, int(threadIdx.x) / 32, 0);
  const uint32_t weights = shared + S::kBarriers;
  if (threadIdx.x == 0) {
    ptx::init_barrier(weights, 1);
    for (int stream = 0; stream < kStreams; ++stream) {
      const Ring<kV> ring(shared, stream);
      for (int slot = 0; slot < S::kSlots; ++slot) {
        ptx::init_barrier(ring.full + slot * 8, 1);
        ptx::init_barrier(ring.empty + slot * 8, kStreamThreads / 32);
      }
    }
    ptx::fence_barriers();
  }
  __syncthreads();

  const int split = int(blockIdx.x) % args.splits;
  const int first = int(blockIdx.x) / args.splits * kStreams;
  const int stream_in_block = int(__reduce_or_sync(kAllLanes, uint32_t(warp / 4)));
  if (stream_in_block == kStreams) {
    const int number = warp - kStreams * 4;
    if (number >= kStreams || threadIdx.x % 32 != 0) return;
    if (number == 0) {
      constexpr int kPieces = 9;
      constexpr int kPiece = S::kWeightBytes / kPieces / 16 * 16;
      const auto* from = static_cast<const std::byte*>(args.convolution.weights) +
                         int64_t(split) * S::kWeightBytes;
      ptx::expect_bytes(weights, S::kWeightBytes + S::kLastBytes + S::kBiasBytes);
      for (int at = 0; at < S::kWeightBytes; at += kPiece) {
        ptx::copy_bulk(shared + at, from + at, min(kPiece, S::kWeightBytes - at), weights);
      }
      if constexpr (S::kConvolved) {
        ptx::copy_bulk(shared + S::kWeightBytes, args.convolution.last_weights, S::kLastBytes,
                       weights);
        ptx::copy_bulk(shared + S::kWeightBytes + S::kLastBytes, args.convolution.biases,
                       S::kBiasBytes, weights);
      }
    }
    produce<kV>(args, shared, number, first + number);
  } else {
    int longest = 0;
    for (int stream = 0; stream < kStreams; ++stream) {
      longest = max(longest, Share<kV>(args, first + stream).input_rows());
    }
    consume<kV>(args, shared, stream_in_block, first + stream_in_block, split, longest);
  }
}

// Launch -----------------------------------------------------------------------------------------

struct Kernel {
  int shared_bytes;
  void (*run)(RowStreamArguments);
};

template <int... kNumbers>
std::array<Kernel, sizeof...(kNumbers)> kernels(std::integer_sequence<int, kNumbers...>) {
  return {Kernel{Shape<kRowStreamVariants[kNumbers]>::kUsedBytes, row_stream<kNumbers>}...};
}

Kernel kernel_of(const RowStreamVariant& variant) {
  static const auto all =
      kernels(std::make_integer_sequence<int, int(std::size(kRowStreamVariants))>());
  return all[size_t(
      std::find(std::begin(kRowStreamVariants), std::end(kRowStreamVariants), variant) -
      std::begin(kRowStreamVariants))];
}

int multiprocessors() {
  int device = 0;
  int count = 0;
  check(cudaGetDevice(&device), "asking for the GPU");
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device),
        "asking for the GPU");
  return count;
}

}  // namespace

void prepare_row_stream(const RowStreamVariant& variant) {
  const Kernel kernel = kernel_of(variant);
  check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel.run),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, kernel.shared_bytes),
        "preparing a convolution");
}

void launch_row_stream(const RowStreamVariant& variant, const RowStreamArguments& args,
                       cudaStream_t stream) {
  const Kernel kernel = kernel_of(variant);
  const int blocks = multiprocessors() / args.splits * args.splits;
  kernel.run<<<blocks, kThreads, size_t(kernel.shared_bytes), stream>>>(args);
  check(cudaGetLastError(), "starting a convolution");
}

}  // namespace upres::cuda
