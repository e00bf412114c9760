// SPDX-License-Identifier: Apache-2.0
#include "pixel/resample.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "support/networks.h"
#include "support/pictures.h"

namespace upres {
namespace {

/// Three rows at a time, as they might come.
void resample(const Frame& src, Frame& dst, int strip = 3) {
  FrameSink sink(dst);
  Resampler resampler(src.info(), dst.info(), sink);
  test::StripSource source(src, strip);
  pass_rows(source, resampler);
}

uint8_t* bytes(Frame& frame) {
  return reinterpret_cast<uint8_t*>(frame.data());
}

TEST(LanczosTaps, AddUpToOneAndStayInside) {
  for (const int from : {1, 2, 5, 100}) {
    for (const int to : {1, 3, 50, 199, 400}) {
      for (const ResampleTaps& taps : lanczos_taps(from, to)) {
        EXPECT_GE(taps.first, 0);
        EXPECT_LE(taps.first + int(taps.weights.size()), from);
        EXPECT_NEAR(std::accumulate(taps.weights.begin(), taps.weights.end(), 0.0), 1, 1e-5);
      }
    }
  }
}

TEST(LanczosTaps, OfTheSameSizeAreTheIdentity) {
  const auto all = lanczos_taps(9, 9);
  for (int i = 0; i < 9; ++i) {
    const ResampleTaps& taps = all[size_t(i)];
    for (size_t j = 0; j < taps.weights.size(); ++j) {
      EXPECT_NEAR(taps.weights[j], taps.first + int(j) == i ? 1 : 0, 1e-6);
    }
  }
}

TEST(LanczosTaps, OfHalfTheSizeAreSymmetricAroundTheMiddleOfTwoSamples) {
  const ResampleTaps taps = lanczos_taps(40, 20)[10];
  EXPECT_EQ(taps.first + taps.first + int(taps.weights.size()) - 1, 41) << "around 20.5";
  EXPECT_NEAR(taps.weights.front(), taps.weights.back(), 1e-6);
}

TEST(Resample, KeepsAFlatPictureFlat) {
  for (const Size to : {Size{3, 50}, Size{20, 11}, Size{1, 1}}) {
    Frame src({20, 11}, SampleType::u8, 3);
    std::fill_n(bytes(src), src.total_bytes(), uint8_t{137});
    Frame dst(to, SampleType::u8, 3);
    resample(src, dst);
    for (size_t i = 0; i < dst.total_bytes(); ++i) ASSERT_EQ(bytes(dst)[i], 137);
  }
}

TEST(Resample, MovesNothing) {
  // A slow wave sampled finely and coarsely is the same wave.
  const auto wave = [](double x) { return 128 + 100 * std::sin(2 * std::numbers::pi * 3 * x); };
  Frame fine({400, 1}, SampleType::u8, 1);
  for (int x = 0; x < 400; ++x) bytes(fine)[x] = uint8_t(std::lround(wave((x + 0.5) / 400)));
  Frame coarse({150, 1}, SampleType::u8, 1);
  resample(fine, coarse);
  for (int x = 6; x < 144; ++x) EXPECT_NEAR(bytes(coarse)[x], wave((x + 0.5) / 150), 1.5) << x;
}

TEST(Resample, DoesNotAliasWhatIsTooFine) {
  Frame checks({64, 64}, SampleType::u8, 1);
  for (int i = 0; i < 64 * 64; ++i) bytes(checks)[i] = (i + i / 64) % 2 ? 255 : 0;
  Frame small({16, 16}, SampleType::u8, 1);
  resample(checks, small);
  for (int y = 2; y < 14; ++y) {
    for (int x = 2; x < 14; ++x) EXPECT_NEAR(bytes(small)[y * 16 + x], 127.5, 3);
  }
}

TEST(Resample, LetsNoHiddenColourBleedIntoVisiblePixels) {
  // Left half: opaque gray 100. Right half: transparent, with a hidden white.
  Frame src({40, 1}, SampleType::u8, 4);
  for (int x = 0; x < 40; ++x) {
    const bool left = x < 20;
    for (int c = 0; c < 3; ++c) bytes(src)[4 * x + c] = left ? 100 : 255;
    bytes(src)[4 * x + 3] = left ? 255 : 0;
  }
  Frame dst({30, 1}, SampleType::u8, 4);
  resample(src, dst);
  for (int x = 0; x < 30; ++x) {
    const uint8_t* pixel = bytes(dst) + 4 * x;
    if (pixel[3] > 8) {
      EXPECT_NEAR(pixel[0], 100, 2) << x;
    }
  }
  EXPECT_EQ(bytes(dst)[3], 255);
  EXPECT_EQ(bytes(dst)[4 * 29 + 3], 0);
}

TEST(Resample, ChangesTheSampleTypeWhenAsked) {
  Frame src({4, 4}, SampleType::u16, 1);
  std::fill_n(reinterpret_cast<uint16_t*>(src.data()), 16, uint16_t(257 * 200));
  Frame dst({2, 2}, SampleType::u8, 1);
  resample(src, dst);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(bytes(dst)[i], 200);
}

TEST(Resample, GivesTheSameBytesWhateverTheStrips) {
  test::Random random(3);
  for (const SampleType type : {SampleType::u8, SampleType::u16, SampleType::f32}) {
    for (const int channels : {1, 2, 3, 4}) {
      const Frame src = test::random_frame(random, {23, 31}, type, channels);
      for (const Size to : {Size{50, 70}, Size{11, 9}, Size{23, 32}, Size{1, 1}}) {
        Frame whole(to, type, channels);
        resample(src, whole, 31);
        for (const int strip : {1, 2, 7, 30}) {
          Frame dst(to, type, channels);
          resample(src, dst, strip);
          EXPECT_TRUE(test::equal(dst, whole)) << strip << " rows, to " << to.width;
        }
      }
    }
  }
}

}  // namespace
}  // namespace upres
