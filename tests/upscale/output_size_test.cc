// SPDX-License-Identifier: Apache-2.0
#include "upscale/output_size.h"

#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace upres {
namespace {

using Rule = OutputSize::Rule;

Size size_of(Rule rule, double scale, Size size, Size picture) {
  return OutputSize{.rule = rule, .scale = scale, .size = size}.of(picture, 4);
}

TEST(OutputSize, FollowsItsRule) {
  constexpr Size kPicture = {97, 71};
  EXPECT_EQ(OutputSize{}.of(kPicture, 4), (Size{388, 284}));
  EXPECT_EQ(size_of(Rule::scale, 1.5, {}, kPicture), (Size{146, 107}));  // 145.5 and 106.5
  EXPECT_EQ(size_of(Rule::width, 1, {200, 0}, kPicture), (Size{200, 146}));
  EXPECT_EQ(size_of(Rule::height, 1, {0, 200}, kPicture), (Size{273, 200}));
  EXPECT_EQ(size_of(Rule::exact, 1, {120, 300}, kPicture), (Size{120, 300}));
  EXPECT_EQ(size_of(Rule::fit, 1, {200, 200}, kPicture), (Size{200, 146}));
  EXPECT_EQ(size_of(Rule::fit, 1, {1000, 100}, kPicture), (Size{137, 100}));
}

TEST(OutputSize, GivesExactlyTheSideThatWasAskedFor) {
  for (int side = 1; side < 2000; side += 7) {
    for (const Size picture : {Size{97, 71}, Size{3, 1000}, Size{1999, 2}}) {
      EXPECT_EQ(size_of(Rule::width, 1, {side, 0}, picture).width, side);
      EXPECT_EQ(size_of(Rule::height, 1, {0, side}, picture).height, side);
      const Size fitted = size_of(Rule::fit, 1, {side, side}, picture);
      EXPECT_EQ(std::max(fitted.width, fitted.height), side);
    }
  }
}

TEST(OutputSize, HasAtLeastOnePixel) {
  EXPECT_EQ(size_of(Rule::scale, 0.001, {}, {97, 71}), (Size{1, 1}));
  EXPECT_EQ(size_of(Rule::width, 1, {1, 0}, {1000, 3}), (Size{1, 1}));
}

TEST(OutputSize, RefusesWhatIsBeyondAllBounds) {
  EXPECT_TRUE(test::fails(ErrorCode::input, "more than 268435456 pixels a side", [] {
    size_of(Rule::scale, 1e9, {}, {97, 71});
  }));
  EXPECT_TRUE(test::fails(ErrorCode::input, "more than 268435456 pixels a side", [] {
    size_of(Rule::width, 1, {1000, 0}, {1, 10'000'000});
  }));
}

}  // namespace
}  // namespace upres
