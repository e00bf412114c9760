// SPDX-License-Identifier: Apache-2.0
#include "frame/rows.h"

#include <gtest/gtest.h>

#include "support/networks.h"
#include "support/pictures.h"

namespace upres {
namespace {

using test::equal;
using test::Random;

TEST(Frame, HasRoomForItsSamples) {
  const Frame frame({5, 3}, SampleType::u16, 4);
  EXPECT_EQ(frame.row_bytes(), 5u * 4 * 2);
  EXPECT_EQ(frame.total_bytes(), 3u * 5 * 4 * 2);
  EXPECT_TRUE(frame.has_alpha());
  EXPECT_EQ(frame.alpha().planes[0].data - frame.colour().planes[0].data, 3 * 2);
}

TEST(StripHeight, IsAboutAMebibyteAndAtLeastARow) {
  EXPECT_EQ(strip_height({{10, 20}, SampleType::u8, 3}), 20);
  EXPECT_EQ(strip_height({{1024, 5000}, SampleType::u8, 1}), 1024);
  EXPECT_EQ(strip_height({{1 << 24, 5}, SampleType::f32, 4}), 1);
}

TEST(PassRows, PassesAPictureWholeWhateverTheStrips) {
  Random random(3);
  for (const SampleType type : {SampleType::u8, SampleType::u16, SampleType::f32}) {
    const Frame frame = test::random_frame(random, {13, 29}, type, 3);
    for (const int height : {1, 2, 28, 29, 100}) {
      test::StripSource source(frame, height);
      Frame passed(frame.info());
      FrameSink sink(passed);
      pass_rows(source, sink);
      EXPECT_TRUE(equal(passed, frame)) << height;
    }
  }
}

TEST(FrameSource, GivesAPictureOfSeveralStrips) {
  Random random(3);
  const Frame frame = test::random_frame(random, {4096, 600}, SampleType::u8, 3);
  ASSERT_LT(strip_height(frame.info()), 600);
  FrameSource source(frame);
  Frame passed(frame.info());
  FrameSink sink(passed);
  pass_rows(source, sink);
  EXPECT_TRUE(equal(passed, frame));
}

TEST(HasConstantAlpha, LooksAtEverySampleAndNoFurtherThanItMust) {
  Random random(3);
  for (const SampleType type : {SampleType::u8, SampleType::u16, SampleType::f32}) {
    for (const int channels : {2, 4}) {
      Frame frame = test::random_frame(random, {7, 40}, type, channels);
      const size_t sample = size_bytes(type), pixel = sample * size_t(channels);
      for (size_t i = pixel - sample; i < frame.total_bytes(); i += pixel) {
        std::memset(frame.data() + i, 0x3f, sample);
      }
      test::StripSource constant(frame, 3);
      EXPECT_TRUE(has_constant_alpha(constant));
      EXPECT_EQ(constant.rows_read(), 40);

      Frame last_differs(frame.info());
      copy_rows(frame, 0, last_differs, 0, 40);
      last_differs.data()[frame.total_bytes() - 1] ^= std::byte(1);
      test::StripSource last(last_differs, 3);
      EXPECT_FALSE(has_constant_alpha(last));

      frame.data()[2 * pixel - 1] ^= std::byte(1);
      test::StripSource second(frame, 3);
      EXPECT_FALSE(has_constant_alpha(second));
      EXPECT_EQ(second.rows_read(), 3);
    }
  }
}

}  // namespace
}  // namespace upres
