// SPDX-License-Identifier: Apache-2.0
#include "upscale/verification.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "support/networks.h"
#include "support/pictures.h"

namespace upres {
namespace {

float& sample(Frame& frame, size_t i) {
  return reinterpret_cast<float*>(frame.data())[i];
}

Frame constant(float value) {
  Frame frame({10, 10}, SampleType::f32, 3);
  for (size_t i = 0; i < 300; ++i) sample(frame, i) = value;
  return frame;
}

TEST(Agreement, IsPsnrAndTheLargestDifferenceInLevels) {
  Frame made = constant(0.5f);
  const Frame expected = constant(0.5f);
  EXPECT_EQ(agreement(made, expected).psnr_db, std::numeric_limits<double>::infinity());
  EXPECT_EQ(agreement(made, expected).largest_levels, 0);
  sample(made, 7) += 0.125f;  // one of 300
  EXPECT_NEAR(agreement(made, expected).psnr_db, 10 * std::log10(300 * 64), 1e-9);
  EXPECT_NEAR(agreement(made, expected).largest_levels, 0.125 * 255, 1e-9);
  EXPECT_NEAR(agreement(constant(0.501f), expected).psnr_db, 60, 1e-3);
}

TEST(Agreement, OfWhatIsNoNumberIsNone) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Frame made = constant(0.5f);
    sample(made, 299) = value;
    const Agreement found = agreement(made, constant(0.5f));
    EXPECT_LT(found.psnr_db, least_psnr_db(Precision::fp16_fast));
    EXPECT_EQ(found.largest_levels, std::numeric_limits<double>::infinity());
  }
}

TEST(LeastPsnr, FallsWithThePrecision) {
  EXPECT_GT(least_psnr_db(Precision::fp32), least_psnr_db(Precision::fp16));
  EXPECT_GT(least_psnr_db(Precision::fp16), least_psnr_db(Precision::fp16_fast));
}

TEST(TestCard, HasSomethingInEveryQuarterAtAnySize) {
  const Frame card = test_card({128, 96});
  for (const Point corner : {Point{0, 0}, Point{64, 0}, Point{0, 48}, Point{64, 48}}) {
    std::set<std::byte> values;
    for (int y = 0; y < 48; ++y) {
      const std::byte* row = card.row(corner.y + y) + corner.x * 3;
      values.insert(row, row + 64 * 3);
    }
    EXPECT_GT(values.size(), 3u);
  }
  for (const Size size : {Size{1, 1}, Size{1, 7}, Size{2, 2}, Size{333, 5}}) {
    EXPECT_EQ(test_card(size).size(), size);
  }
}

TEST(MiddleOf, IsTheMiddleOrAllOfAPicture) {
  test::Random random(3);
  const Frame picture = test::random_frame(random, {9, 6}, SampleType::u16, 4);
  EXPECT_TRUE(test::equal(middle_of(picture, {9, 6}), picture));
  EXPECT_TRUE(test::equal(middle_of(picture, {100, 100}), picture));
  const Frame middle = middle_of(picture, {3, 2});
  ASSERT_EQ(middle.size(), (Size{3, 2}));
  EXPECT_EQ(std::memcmp(middle.row(1), picture.row(3) + 3 * 8, 3 * 8), 0);
}

}  // namespace
}  // namespace upres
