// SPDX-License-Identifier: Apache-2.0
// Convolutions of any odd kernel by their definition, compiled for every instruction set: some
// pixels' inputs are laid side by side and multiplied by the weights. For what is not 3x3.
#if defined(UPRES_BACKEND_CPU_DIRECT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef UPRES_BACKEND_CPU_DIRECT_INL_H
#undef UPRES_BACKEND_CPU_DIRECT_INL_H
#else
#define UPRES_BACKEND_CPU_DIRECT_INL_H
#endif

#include <hwy/highway.h>

#include "backend/cpu/epilogue_inl.h"
#include "backend/cpu/gemm_inl.h"
#include "backend/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace upres::cpu::HWY_NAMESPACE {

/// Pixels of a row that are made together.
constexpr int kDirectPixels = 2 * kGemmRows;

inline size_t direct_scratch(int in_channels, int kernel) {
  // Whole cache lines, so that all threads' are aligned.
  constexpr int kLine = 16;
  return size_t(kDirectPixels * (kPanel + in_channels * kernel * kernel) + kLine - 1) / kLine *
         kLine;
}

/// What the pixel (x, y) is made of: [kernel * kernel][in], zeros where outside of the picture.
HWY_INLINE void gather_inputs(const ConvolutionWork& work, int y, int x, float* to) {
  const int reach = work.kernel / 2;
  const int depth = work.in.channels;
  for (int row = y - reach; row <= y + reach; ++row) {
    for (int column = x - reach; column <= x + reach; ++column, to += depth) {
      const bool there = row >= 0 && row < work.in.height * work.enlarge && column >= 0 &&
                         column < work.in.width * work.enlarge;
      const float* from =
          there ? pixel_at(work.in, row / work.enlarge, column / work.enlarge) : nullptr;
      for (int c = 0; c < depth; ++c) to[c] = there ? from[c] : 0.0f;
    }
  }
}

inline void direct(const ConvolutionWork& work, Range rows, float* scratch) {
  const int depth = work.in.channels * work.kernel * work.kernel;
  float* sums = scratch;
  float* inputs = scratch + kDirectPixels * kPanel;
  for (int row = rows.first; row < rows.last; ++row) {
    const int y = work.first_row() + row;
    for (int x = 0; x < work.columns(); x += kDirectPixels) {
      const int count = HWY_MIN(kDirectPixels, work.columns() - x);
      for (int i = 0; i < count; ++i) gather_inputs(work, y, x + i, inputs + i * depth);
      for (int panel = 0; panel < panel_count(work.out_channels); ++panel) {
        const int width = panel_width(work.out_channels, panel);
        gemm(count, width, inputs, work.weights + ptrdiff_t(panel) * depth * kPanel, sums,
             {depth, width}, depth);
        for (int channel = 0; channel < width; channel += kLanes) {
          const Epilogue epilogue(work, panel * kPanel + channel);
          for (int i = 0; i < count; ++i) {
            Vector sum[] = {hn::Load(Floats(), sums + i * width + channel)};
            epilogue.store(sum, y, x + i, 1);
          }
        }
      }
    }
  }
}

}  // namespace upres::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
