// SPDX-License-Identifier: Apache-2.0
#include "graph/footprint.h"

#include <gtest/gtest.h>

#include "support/networks.h"

namespace upres {
namespace {

using test::Random;

TEST(Footprint, HaloOfSrvggIsOnePixelAConvolution) {
  Random random(1);
  EXPECT_EQ(footprint(test::srvgg(random, 4, 16, 4)).halo, 18);
  EXPECT_EQ(footprint(test::srvgg(random, 4, 16, 4)).alignment, 1);
}

TEST(Footprint, HaloOfRrdbnetCountsTheTailInWholePixels) {
  Random random(1);
  // 15 a block, one each for conv_first and conv_body; the tail's four reach two pixels.
  EXPECT_EQ(footprint(test::rrdbnet(random, 4, 4, 1)).halo, 19);
  EXPECT_EQ(footprint(test::rrdbnet(random, 4, 4, 6)).halo, 94);
  EXPECT_EQ(footprint(test::rrdbnet(random, 4, 4, 23)).halo, 349);
}

TEST(Footprint, PixelUnshuffleMultipliesTheHaloAndAligns) {
  Random random(1);
  const Footprint x2 = footprint(test::rrdbnet(random, 4, 4, 1, 2));
  EXPECT_EQ(x2.alignment, 2);
  EXPECT_EQ(x2.halo, 38);
  const Footprint x1 = footprint(test::rrdbnet(random, 4, 4, 1, 4));
  EXPECT_EQ(x1.alignment, 4);
  EXPECT_EQ(x1.halo, 76);
}

TEST(Footprint, ResizeReachesOnePixelFurther) {
  Random random(1);
  const Footprint half = footprint(test::srvgg(random, 4, 16, 4, Resize{1, 2}));
  EXPECT_EQ(half.halo, 19);
  EXPECT_EQ(half.alignment, 1);
  EXPECT_EQ(footprint(test::srvgg(random, 4, 16, 4, Resize{3, 4})).halo, 19);
}

TEST(FlopsPerPixel, OfX4plusAndAnimevideov3AreTheKnownOnes) {
  Random random(1);
  EXPECT_NEAR(flops_per_pixel(test::rrdbnet(random, 64, 32, 23)), 2 * 17926848.0, 1);
  EXPECT_NEAR(flops_per_pixel(test::srvgg(random, 64, 16, 4)), 2 * 619200.0, 1);
}

TEST(ParameterCount, OfTheDefaultModelIsTheOneOnItsCard) {
  Random random(1);
  EXPECT_EQ(parameter_count(test::srvgg(random, 64, 16, 4)), 621424);
}

TEST(ActivationBytesPerPixel, IsWhatTheLargestLayersTake) {
  Random random(1);
  // conv_hr: 64 channels in and out at 16 pixels a pixel, 4 bytes each.
  const double bytes = activation_bytes_per_pixel(test::rrdbnet(random, 64, 32, 1));
  EXPECT_GE(bytes, 2 * 64 * 16 * 4);
  EXPECT_LE(bytes, 1.3 * 2 * 64 * 16 * 4);
}

}  // namespace
}  // namespace upres
