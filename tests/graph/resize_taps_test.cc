// SPDX-License-Identifier: Apache-2.0
#include "graph/resize_taps.h"

#include <gtest/gtest.h>

namespace upres {
namespace {

void expect_weights(const ResizeTaps& taps, const std::array<float, 4>& weights) {
  for (size_t i = 0; i < weights.size(); ++i) EXPECT_NEAR(taps.weights[i], weights[i], 1e-6f) << i;
}

TEST(ResizeTaps, OfOneHalfLieInTheMiddleOfTwoPixels) {
  for (const int pixel : {0, 1, 7}) {
    EXPECT_EQ(resize_taps({1, 2}, pixel).first, 2 * pixel - 1);
    expect_weights(resize_taps({1, 2}, pixel), {-0.09375f, 0.59375f, 0.59375f, -0.09375f});
  }
}

// Samples at 1/6, 3/2 and 17/6; weights by Python's fractions from Keys' formula.
TEST(ResizeTaps, OfThreeQuartersRepeatEveryThreePixels) {
  const std::array<float, 4> a_sixth = {-0.0868055556f, 0.9432870370f, 0.1608796296f,
                                        -0.0173611111f};
  for (const int period : {-1, 0, 5}) {
    const ResizeTaps taps = resize_taps({3, 4}, 3 * period);
    EXPECT_EQ(taps.first, 4 * period - 1);
    expect_weights(taps, a_sixth);
    EXPECT_EQ(resize_taps({3, 4}, 3 * period + 1).first, 4 * period);
    expect_weights(resize_taps({3, 4}, 3 * period + 1), {-0.09375f, 0.59375f, 0.59375f, -0.09375f});
    EXPECT_EQ(resize_taps({3, 4}, 3 * period + 2).first, 4 * period + 1);
    expect_weights(resize_taps({3, 4}, 3 * period + 2),
                   {a_sixth[3], a_sixth[2], a_sixth[1], a_sixth[0]});
  }
}

TEST(ResizeTaps, OfOneKeepThePixel) {
  EXPECT_EQ(resize_taps({1, 1}, 9).first, 8);
  expect_weights(resize_taps({1, 1}, 9), {0, 1, 0, 0});
}

TEST(ResizeTaps, AddUpToOneForEveryRatio) {
  for (int numerator = 1; numerator <= 16; ++numerator) {
    for (int denominator = 1; denominator <= 16; ++denominator) {
      for (int pixel = 0; pixel < numerator; ++pixel) {
        const auto& w = resize_taps({numerator, denominator}, pixel).weights;
        EXPECT_NEAR(w[0] + w[1] + w[2] + w[3], 1, 1e-6f) << numerator << "/" << denominator;
      }
    }
  }
}

}  // namespace
}  // namespace upres
