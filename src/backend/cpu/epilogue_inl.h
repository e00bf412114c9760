// SPDX-License-Identifier: Apache-2.0
// What becomes of a convolution's sums, compiled for every instruction set: bias, activation,
// addends, shuffle, one vector of one pixel at a time.
#if defined(UPRES_BACKEND_CPU_EPILOGUE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef UPRES_BACKEND_CPU_EPILOGUE_INL_H
#undef UPRES_BACKEND_CPU_EPILOGUE_INL_H
#else
#define UPRES_BACKEND_CPU_EPILOGUE_INL_H
#endif

#include <hwy/highway.h>

#include "backend/cpu/gemm_inl.h"
#include "backend/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace upres::cpu::HWY_NAMESPACE {

/// Where the pixel (x, y) begins. Not a member of Blocks: those are compiled for any processor.
HWY_INLINE float* pixel_at(const Blocks& blocks, int y, int x) {
  return blocks.data + (y - blocks.first_row) * blocks.row_stride + x * blocks.pixel_stride;
}

/// Panels of outputs, and how wide one of them is.
constexpr int kPanel = 2 * kLanes;

HWY_INLINE int panel_count(int channels) {
  return (channels + kPanel - 1) / kPanel;
}

HWY_INLINE int panel_width(int channels, int panel) {
  return channels - panel * kPanel > kLanes ? kPanel : kLanes;
}

/// Stores the sums of a vector of outputs that begins at `channel`, some pixels of a row at a time:
/// what stores do to memory keeps compilers from holding more than the row's pointers in registers.
class Epilogue {
 public:
  Epilogue(const ConvolutionWork& work, int channel)
      : work_(work),
        channel_(channel),
        bias_(hn::Load(Floats(), work.biases + channel)),
        slope_(hn::Load(Floats(), work.slopes + channel)) {}

  /// The first `count` of `sums`, into the pixels from (x, y) on.
  template <int kMost>
  HWY_INLINE void store(Vector (&sums)[kMost], int y, int x, int count) const {
    const Floats d;
    for (int i = 0; i < kMost; ++i) {
      const Vector sum = hn::Add(sums[i], bias_);
      sums[i] = hn::IfNegativeThenElse(sum, hn::Mul(sum, slope_), sum);
    }
    if (work_.shuffle > 1) {
      for (int i = 0; i < kMost; ++i) {
        if (i < count) store_shuffled(sums[i], y, x + i);
      }
      return;
    }
    for (int a = 0; a < work_.addend_count; ++a) {
      const Vector scale = hn::Set(d, work_.addends[a].scale);
      const float* from = pixel_at(work_.addends[a].blocks, y, x) + channel_;
      const ptrdiff_t stride = work_.addends[a].blocks.pixel_stride;
      for (int i = 0; i < kMost; ++i) {
        if (i < count) sums[i] = hn::MulAdd(scale, hn::Load(d, from + i * stride), sums[i]);
      }
    }
    float* to = pixel_at(work_.out, y, x) + channel_;
    const ptrdiff_t stride = work_.out.pixel_stride;
    for (int i = 0; i < kMost; ++i) {
      if (i < count) hn::Store(sums[i], d, to + i * stride);
    }
  }

 private:
  static constexpr int kShuffle = 4;

  /// Output c * 16 + dy * 4 + dx of (x, y) is channel c of (4x + dx, 4y + dy); a vector's outputs
  /// are of one c.
  HWY_INLINE void store_shuffled(Vector sum, int y, int x) const {
    static_assert(kShuffle * kShuffle % kLanes == 0);
    const Floats d;
    const int c = channel_ / (kShuffle * kShuffle);
    if (work_.addend_count > 0) {
      const AddendBlocks& base = work_.addends[0];
      sum = hn::Add(sum, hn::Set(d, base.scale * pixel_at(base.blocks, y, x)[c]));
    }
    HWY_ALIGN float lanes[kLanes];
    hn::Store(sum, d, lanes);
    for (int lane = 0; lane < kLanes; ++lane) {
      const int dy = (channel_ + lane) / kShuffle % kShuffle;
      const int dx = (channel_ + lane) % kShuffle;
      pixel_at(work_.out, y * kShuffle + dy, x * kShuffle + dx)[c] = lanes[lane];
    }
  }

  const ConvolutionWork& work_;
  int channel_;
  Vector bias_, slope_;
};

}  // namespace upres::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
