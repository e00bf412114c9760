// SPDX-License-Identifier: Apache-2.0
#include "frame/oriented.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "frame/frame.h"

namespace upres {
namespace {

/// 8-bit gray: 1, 2, 3, …
Frame numbered(Size size) {
  Frame frame(size, SampleType::u8, 1);
  for (size_t i = 0; i < frame.total_bytes(); ++i) frame.data()[i] = std::byte(i + 1);
  return frame;
}

std::vector<int> samples(const FrameView& view) {
  std::vector<int> samples;
  const Plane& plane = view.planes[0];
  for (int y = 0; y < view.size.height; ++y) {
    for (int x = 0; x < view.size.width; ++x) {
      samples.push_back(int(plane.data[y * plane.row_bytes + x * plane.step_bytes]));
    }
  }
  return samples;
}

TEST(Oriented, MirrorsThenTransposes) {
  const Frame frame = numbered({3, 2});  // 1 2 3
                                         // 4 5 6
  const auto seen = [&](Orientation o) { return samples(oriented(frame.colour(), o)); };
  EXPECT_EQ(seen({false, false, false}), (std::vector{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(seen({true, false, false}), (std::vector{3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(seen({false, true, false}), (std::vector{4, 5, 6, 1, 2, 3}));
  EXPECT_EQ(seen({false, false, true}), (std::vector{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(seen({true, false, true}), (std::vector{3, 6, 2, 5, 1, 4}));
  EXPECT_EQ(oriented(frame.colour(), {false, false, true}).size, (Size{2, 3}));
}

TEST(Oriented, OfEightWaysNoTwoAreTheSame) {
  const Frame frame = numbered({3, 2});
  std::set<std::pair<int, std::vector<int>>> ways;
  for (const Orientation& o : kOrientations) {
    const FrameView view = oriented(frame.colour(), o);
    ways.emplace(view.size.width, samples(view));
  }
  EXPECT_EQ(ways.size(), 8u);
}

TEST(Oriented, WhatIsWrittenThroughItComesBackInPlace) {
  const Frame frame = numbered({4, 3});
  for (const Orientation& o : kOrientations) {
    Frame copy(frame.info());
    const FrameView from = oriented(frame.colour(), o), to = oriented(copy.colour(), o);
    for (int y = 0; y < from.size.height; ++y) {
      for (int x = 0; x < from.size.width; ++x) {
        const Plane &src = from.planes[0], &dst = to.planes[0];
        dst.data[y * dst.row_bytes + x * dst.step_bytes] =
            src.data[y * src.row_bytes + x * src.step_bytes];
      }
    }
    EXPECT_EQ(samples(copy.colour()), samples(frame.colour()));
  }
}

TEST(Cropped, IsThePartInsideTheRectangle) {
  const Frame frame = numbered({4, 3});
  EXPECT_EQ(samples(cropped(frame.colour(), {1, 1, 2, 2})), (std::vector{6, 7, 10, 11}));
  EXPECT_EQ(samples(oriented(cropped(frame.colour(), {1, 1, 2, 2}), {true, true, false})),
            (std::vector{11, 10, 7, 6}));
}

}  // namespace
}  // namespace upres
