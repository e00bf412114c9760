// SPDX-License-Identifier: Apache-2.0
#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace upres {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Half, EveryBitPatternComesBackFromFloat) {
  for (uint32_t pattern = 0; pattern <= 0xffff; ++pattern) {
    const auto half = uint16_t(pattern);
    const float value = f16_to_f32(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value)))) << std::hex << pattern;
    } else {
      EXPECT_EQ(f32_to_f16(value), half) << std::hex << pattern;
    }
  }
}

TEST(Half, KnownValues) {
  EXPECT_EQ(f16_to_f32(0x3c00), 1.0f);
  EXPECT_EQ(f16_to_f32(0xc000), -2.0f);
  EXPECT_EQ(f16_to_f32(0x7bff), 65504.0f);
  EXPECT_EQ(f16_to_f32(0x0400), 0x1p-14f);
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24f);
  EXPECT_EQ(f16_to_f32(0x7c00), kInfinity);
  EXPECT_TRUE(std::signbit(f16_to_f32(0x8000)));
  EXPECT_TRUE(std::isnan(f16_to_f32(0x7e01)));
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (uint16_t half = 0; half < 0x7bff; ++half) {
    const auto next = uint16_t(half + 1);
    const float middle = (f16_to_f32(half) + f16_to_f32(next)) / 2;  // exact
    EXPECT_EQ(f32_to_f16(middle), half % 2 == 0 ? half : next) << std::hex << half;
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), half) << std::hex << half;
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, kInfinity)), next) << std::hex << half;
    EXPECT_EQ(f32_to_f16(-middle), f32_to_f16(middle) | 0x8000) << std::hex << half;
  }
}

TEST(Half, BecomesInfiniteWhereRoundingLeavesTheRange) {
  EXPECT_EQ(f32_to_f16(std::nextafter(65520.0f, 0.0f)), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-kInfinity), 0xfc00);
}

TEST(Bfloat16, IsTheUpperHalfOfAFloat) {
  EXPECT_EQ(bf16_to_f32(0x3f80), 1.0f);
  EXPECT_EQ(bf16_to_f32(0xc040), -3.0f);
  EXPECT_EQ(bf16_to_f32(0x7f80), kInfinity);
  for (uint32_t pattern = 0; pattern <= 0xffff; ++pattern) {
    const float value = bf16_to_f32(uint16_t(pattern));
    if (std::isnan(value)) continue;
    EXPECT_EQ(std::bit_cast<uint32_t>(value), pattern << 16);
  }
}

}  // namespace
}  // namespace upres
