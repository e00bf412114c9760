// SPDX-License-Identifier: Apache-2.0
// Pixels of packed RGB go through in pairs: as words of 32 bits two of them are RG BR GB, so that
// three vectors taken apart by threes have the even pixels' samples in one half of the words and
// the odd ones' in the other. Nothing is fused: this file is compiled with -ffp-contract=off.
#include "pixel/film_rows.h"

#include <type_traits>

// The sets that are worth a version of their own.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pixel/film_rows.cc"
#include <hwy/foreach_target.h>
// Behind foreach_target.h, which includes this file once for each set.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace upres::film_rows::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR

// Without vectors there is nothing to begin with.
int load(const Stored*, const float*, float, float, float*, int) {
  return 0;
}
int mix(const Taps&, float*, int) {
  return 0;
}
int store(const Taps&, float, float, Storing, int) {
  return 0;
}
int rgb_from_yuv(const FilmPlan&, Stored, const float*, const float*, uint16_t*, int) {
  return 0;
}
int yuv_from_rgb(const FilmPlan&, const uint16_t*, Storing, float* const[], float* const[], int) {
  return 0;
}

#else

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Ints = hn::RebindToSigned<Floats>;
using Pairs = hn::RebindToUnsigned<Floats>;  ///< of words, the first one in the lower half
using Words = hn::Repartition<uint16_t, Pairs>;
using Bytes = hn::Rebind<uint8_t, Words>;
using VF = hn::Vec<Floats>;
using VPairs = hn::Vec<Pairs>;

constexpr Floats kF{};
constexpr Ints kI{};
constexpr Pairs kPairs{};
constexpr Words kWords{};
constexpr Bytes kBytes{};

HWY_INLINE int lanes() {
  return int(hn::Lanes(kF));
}

HWY_INLINE VF first_of(VPairs pairs) {
  const auto first = hn::And(pairs, hn::Set(kPairs, 0xffff));
  return hn::ConvertTo(kF, hn::BitCast(kI, first));
}

HWY_INLINE VF second_of(VPairs pairs) {
  return hn::ConvertTo(kF, hn::BitCast(kI, hn::ShiftRight<16>(pairs)));
}

/// Rounded down. Of values that words hold: ConvertTo would look after those that integers do not.
HWY_INLINE VPairs to_words(VF value) {
#if HWY_TARGET == HWY_AVX3
  return VPairs{_mm512_cvttps_epi32(value.raw)};
#elif HWY_TARGET == HWY_AVX2
  return VPairs{_mm256_cvttps_epi32(value.raw)};
#else
  return hn::BitCast(kPairs, hn::ConvertTo(kI, value));
#endif
}

HWY_INLINE VF clamped(VF value, VF most) {
  return hn::Min(hn::Max(value, hn::Zero(kF)), most);
}

HWY_INLINE VPairs pairs_of(VPairs first, VPairs second) {
  return hn::Or(first, hn::ShiftLeft<16>(second));
}

template <int kWordBytes>
HWY_INLINE VF load_vector(const std::byte* samples, int x) {
  if constexpr (kWordBytes == 1) {
    const hn::Rebind<uint8_t, Floats> bytes;
    const auto loaded = hn::LoadU(bytes, reinterpret_cast<const uint8_t*>(samples) + x);
    return hn::ConvertTo(kF, hn::PromoteTo(kI, loaded));
  } else {
    const hn::Rebind<uint16_t, Floats> words;
    const auto loaded = hn::LoadU(words, reinterpret_cast<const uint16_t*>(samples) + x);
    return hn::ConvertTo(kF, hn::PromoteTo(kI, loaded));
  }
}

template <int kWordBytes>
HWY_INLINE VPairs load_pairs(const std::byte* samples, int x) {
  if constexpr (kWordBytes == 1) {
    const auto loaded = hn::LoadU(kBytes, reinterpret_cast<const uint8_t*>(samples) + x);
    return hn::BitCast(kPairs, hn::PromoteTo(kWords, loaded));
  } else {
    const auto loaded = hn::LoadU(kWords, reinterpret_cast<const uint16_t*>(samples) + x);
    return hn::BitCast(kPairs, loaded);
  }
}

template <int kWordBytes>
HWY_INLINE void store_pairs(VPairs pairs, std::byte* samples, int x) {
  if constexpr (kWordBytes == 1) {
    const auto words = hn::BitCast(hn::RebindToSigned<Words>(), pairs);
    hn::StoreU(hn::DemoteTo(kBytes, words), kBytes, reinterpret_cast<uint8_t*>(samples) + x);
  } else {
    hn::StoreU(hn::BitCast(kWords, pairs), kWords, reinterpret_cast<uint16_t*>(samples) + x);
  }
}

/// body(std::integral_constant<int, word_bytes>)
template <typename Body>
HWY_INLINE int with_word(int word_bytes, Body&& body) {
  return word_bytes == 1 ? body(std::integral_constant<int, 1>())
                         : body(std::integral_constant<int, 2>());
}

int load(const Stored rows[2], const float weights[2], float zero, float scale, float* dst,
         int count) {
  return with_word(rows[0].word_bytes, [&](auto word) HWY_ATTR {
    const VF first = hn::Set(kF, weights[0]);
    const VF second = hn::Set(kF, weights[1]);
    const VF zeros = hn::Set(kF, zero);
    const VF scales = hn::Set(kF, scale);
    int x = 0;
    for (; x + lanes() <= count; x += lanes()) {
      const VF a = load_vector<word()>(rows[0].data, x);
      const VF b = load_vector<word()>(rows[1].data, x);
      const VF sum = hn::Add(hn::Mul(first, a), hn::Mul(second, b));
      hn::StoreU(hn::Mul(hn::Sub(sum, zeros), scales), kF, dst + x);
    }
    return x;
  });
}

/// The weighted sums at x; kTaps of 0: as many as there are.
template <int kTaps>
HWY_INLINE VF mixed(const Taps& taps, int x) {
  const int count = kTaps > 0 ? kTaps : taps.count;
  VF sum = hn::Mul(hn::Set(kF, taps.weights[0]), hn::LoadU(kF, taps.lines[0] + x));
  for (int k = 1; k < count; ++k) {
    const VF line = hn::LoadU(kF, taps.lines[k] + x);
    sum = hn::Add(sum, hn::Mul(hn::Set(kF, taps.weights[k]), line));
  }
  return sum;
}

/// body(std::integral_constant<int, taps>): the usual numbers of taps by themselves.
template <typename Body>
HWY_INLINE int with_taps(int count, Body&& body) {
  switch (count) {
    case 1:
      return body(std::integral_constant<int, 1>());
    case 3:
      return body(std::integral_constant<int, 3>());
    case 4:
      return body(std::integral_constant<int, 4>());
    default:
      return body(std::integral_constant<int, 0>());
  }
}

int mix(const Taps& taps, float* dst, int count) {
  return with_taps(taps.count, [&](auto number) HWY_ATTR {
    int x = 0;
    for (; x + lanes() <= count; x += lanes()) hn::StoreU(mixed<number()>(taps, x), kF, dst + x);
    return x;
  });
}

int store(const Taps& taps, float zero, float most, Storing dst, int count) {
  const VF half_up = hn::Set(kF, zero + 0.5f);
  const VF mosts = hn::Set(kF, most);
  return with_word(dst.word_bytes, [&](auto word) HWY_ATTR {
    return with_taps(taps.count, [&](auto number) HWY_ATTR {
      using Word = std::conditional_t<word() == 1, uint8_t, uint16_t>;
      const hn::Rebind<Word, Floats> words;
      int x = 0;
      for (; x + lanes() <= count; x += lanes()) {
        const VF sum = hn::Add(mixed<number()>(taps, x), half_up);
        const auto rounded = to_words(clamped(sum, mosts));
        hn::StoreU(hn::DemoteTo(words, hn::BitCast(kI, rounded)), words,
                   reinterpret_cast<Word*>(dst.data) + x);
      }
      return x;
    });
  });
}

/// Chroma of pixels x, x + 2, ... and of those between.
struct Chroma {
  VF first;
  VF second;
};

template <int kPhases>
HWY_INLINE Chroma chroma_at(const float* line, const float* up, int x) {
  Chroma chroma;
  if constexpr (kPhases == 1) {
    hn::LoadInterleaved2(kF, line + x, chroma.first, chroma.second);
  } else {
    // The first pixel of two lies at its chroma sample or before it, the second one at it or
    // behind.
    const VF here = hn::LoadU(kF, line + x / 2);
    const auto sum = [&](const float* other, float weight, float of_here) HWY_ATTR {
      return hn::Add(hn::Mul(hn::Set(kF, weight), hn::LoadU(kF, other)),
                     hn::Mul(hn::Set(kF, of_here), here));
    };
    chroma = {sum(line + x / 2 - 1, up[0], up[1]), sum(line + x / 2 + 1, up[5], up[4])};
  }
  return chroma;
}

template <int kWordBytes, int kPhases>
int rgb_of(const FilmPlan& plan, const std::byte* luma, const float* u, const float* v,
           uint16_t* rgb, int width) {
  const VF zero = hn::Set(kF, plan.luma_zero);
  const VF scale = hn::Set(kF, plan.luma_scale);
  const VF red_v = hn::Set(kF, plan.red_v);
  const VF green_u = hn::Set(kF, plan.green_u);
  const VF green_v = hn::Set(kF, plan.green_v);
  const VF blue_u = hn::Set(kF, plan.blue_u);
  const VF half = hn::Set(kF, 0.5f);
  const VF most = hn::Set(kF, kFilmOne);
  const float* up = plan.across.up.data();
  struct Rgb {
    VPairs red, green, blue;
  };
  const auto rgb_at = [&](VF sample, VF cu, VF cv) HWY_ATTR -> Rgb {
    const VF y = hn::Mul(hn::Sub(sample, zero), scale);
    const VF red = hn::Add(y, hn::Mul(red_v, cv));
    const VF green = hn::Add(hn::Add(y, hn::Mul(green_u, cu)), hn::Mul(green_v, cv));
    const VF blue = hn::Add(y, hn::Mul(blue_u, cu));
    return {to_words(clamped(hn::Add(red, half), most)),
            to_words(clamped(hn::Add(green, half), most)),
            to_words(clamped(hn::Add(blue, half), most))};
  };
  int x = 0;
  for (; x + 2 * lanes() <= width; x += 2 * lanes()) {
    const VPairs samples = load_pairs<kWordBytes>(luma, x);
    const Chroma cu = chroma_at<kPhases>(u, up, x);
    const Chroma cv = chroma_at<kPhases>(v, up, x);
    const Rgb a = rgb_at(first_of(samples), cu.first, cv.first);
    const Rgb b = rgb_at(second_of(samples), cu.second, cv.second);
    hn::StoreInterleaved3(pairs_of(a.red, a.green), pairs_of(a.blue, b.red),
                          pairs_of(b.green, b.blue), kPairs,
                          reinterpret_cast<uint32_t*>(rgb + 3 * x));
  }
  return x;
}

int rgb_from_yuv(const FilmPlan& plan, Stored luma, const float* u, const float* v, uint16_t* rgb,
                 int width) {
  return with_word(luma.word_bytes, [&](auto word) HWY_ATTR {
    return plan.across.phases == 1 ? rgb_of<word(), 1>(plan, luma.data, u, v, rgb, width)
                                   : rgb_of<word(), 2>(plan, luma.data, u, v, rgb, width);
  });
}

template <int kWordBytes, int kPhases>
int yuv_of(const FilmPlan& plan, const uint16_t* rgb, std::byte* luma, float* const u[],
           float* const v[], int width) {
  struct Row {
    VF red, green, blue;
  };
  const auto row_of = [](const float* of) HWY_ATTR -> Row {
    return {hn::Set(kF, of[0]), hn::Set(kF, of[1]), hn::Set(kF, of[2])};
  };
  const Row to_y = row_of(plan.to_y);
  const Row to_u = row_of(plan.to_u);
  const Row to_v = row_of(plan.to_v);
  const VF half_up = hn::Set(kF, plan.luma_zero + 0.5f);
  const auto times = [](const Row& row, const Row& colour) HWY_ATTR {
    return hn::Add(hn::Add(hn::Mul(row.red, colour.red), hn::Mul(row.green, colour.green)),
                   hn::Mul(row.blue, colour.blue));
  };
  int x = 0;
  for (; x + 2 * lanes() <= width; x += 2 * lanes()) {
    VPairs rg, br, gb;
    hn::LoadInterleaved3(kPairs, reinterpret_cast<const uint32_t*>(rgb + 3 * x), rg, br, gb);
    const Row a = {first_of(rg), second_of(rg), first_of(br)};
    const Row b = {second_of(br), first_of(gb), second_of(gb)};
    // Luma of what R'G'B' holds needs no clamping.
    store_pairs<kWordBytes>(pairs_of(to_words(hn::Add(times(to_y, a), half_up)),
                                     to_words(hn::Add(times(to_y, b), half_up))),
                            luma, x);
    if constexpr (kPhases == 1) {
      hn::StoreInterleaved2(times(to_u, a), times(to_u, b), kF, u[0] + x);
      hn::StoreInterleaved2(times(to_v, a), times(to_v, b), kF, v[0] + x);
    } else {
      hn::StoreU(times(to_u, a), kF, u[0] + x / 2);
      hn::StoreU(times(to_u, b), kF, u[1] + x / 2);
      hn::StoreU(times(to_v, a), kF, v[0] + x / 2);
      hn::StoreU(times(to_v, b), kF, v[1] + x / 2);
    }
  }
  return x;
}

int yuv_from_rgb(const FilmPlan& plan, const uint16_t* rgb, Storing luma, float* const u[],
                 float* const v[], int width) {
  return with_word(luma.word_bytes, [&](auto word) HWY_ATTR {
    return plan.across.phases == 1 ? yuv_of<word(), 1>(plan, rgb, luma.data, u, v, width)
                                   : yuv_of<word(), 2>(plan, rgb, luma.data, u, v, width);
  });
}

#endif

}  // namespace upres::film_rows::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace upres::film_rows {

HWY_EXPORT(load);
HWY_EXPORT(mix);
HWY_EXPORT(store);
HWY_EXPORT(rgb_from_yuv);
HWY_EXPORT(yuv_from_rgb);

int load(const Stored rows[2], const float weights[2], float zero, float scale, float* dst,
         int count) {
  return HWY_DYNAMIC_DISPATCH(load)(rows, weights, zero, scale, dst, count);
}

int mix(const Taps& taps, float* dst, int count) {
  return HWY_DYNAMIC_DISPATCH(mix)(taps, dst, count);
}

int store(const Taps& taps, float zero, float most, Storing dst, int count) {
  return HWY_DYNAMIC_DISPATCH(store)(taps, zero, most, dst, count);
}

int rgb_from_yuv(const FilmPlan& plan, Stored luma, const float* u, const float* v, uint16_t* rgb,
                 int width) {
  if (plan.across.phases > 2) return 0;
  return HWY_DYNAMIC_DISPATCH(rgb_from_yuv)(plan, luma, u, v, rgb, width);
}

int yuv_from_rgb(const FilmPlan& plan, const uint16_t* rgb, Storing luma, float* const u[],
                 float* const v[], int width) {
  if (plan.across.phases > 2) return 0;
  return HWY_DYNAMIC_DISPATCH(yuv_from_rgb)(plan, rgb, luma, u, v, width);
}

}  // namespace upres::film_rows
#endif
