// SPDX-License-Identifier: Apache-2.0
// A network's result into a picture's 8-bit samples, compiled for every instruction set. Gives the
// same bytes as pixel/sample.h.
#if defined(UPRES_BACKEND_CPU_SAMPLES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef UPRES_BACKEND_CPU_SAMPLES_INL_H
#undef UPRES_BACKEND_CPU_SAMPLES_INL_H
#else
#define UPRES_BACKEND_CPU_SAMPLES_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace upres::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

inline void store_rgb8(const float* pixels, ptrdiff_t pixel_stride, int count,
                       uint8_t* const planes[3], ptrdiff_t step) {
  const hn::CappedTag<float, 4> f;
  const hn::RebindToSigned<decltype(f)> integers;
  const hn::Rebind<uint8_t, decltype(f)> bytes;
  constexpr int kVector = int(hn::MaxLanes(hn::CappedTag<float, 4>()));
  const auto one = hn::Set(f, 255.0f);
  const auto half = hn::Set(f, 0.5f);
  for (int x = 0; x < count; ++x, pixels += pixel_stride) {
    HWY_ALIGN uint8_t rgb[4];
    for (int c = 0; c < 3; c += kVector) {
      // Rounded half up: not one multiply-add, which would round once where pixel/ does twice.
      const auto scaled = hn::Add(hn::Mul(hn::LoadU(f, pixels + c), one), half);
      const auto clamped = hn::Min(hn::Max(scaled, hn::Zero(f)), one);
      hn::StoreU(hn::DemoteTo(bytes, hn::ConvertTo(integers, clamped)), bytes, rgb + c);
    }
    for (int c = 0; c < 3; ++c) planes[c][x * step] = rgb[c];
  }
}

}  // namespace upres::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
