// SPDX-License-Identifier: Apache-2.0
#include "pixel/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "frame/frame.h"

namespace upres {
namespace {

/// A planar network value of `channels` planes.
struct Planar {
  Planar(int width_, int height_, int channels)
      : width(width_), height(height_), values(size_t(width * height * channels), -99.0f) {
    view = {values.data(), channels, ptrdiff_t(width) * height, width, 1};
  }
  float at(int c, int y, int x) const { return values[size_t((c * height + y) * width + x)]; }
  int width, height;
  std::vector<float> values;
  Activations view;
};

TEST(Gather, Scales8And16BitTo0To1) {
  Frame eight({2, 1}, SampleType::u8, 3);
  const uint8_t bytes[] = {0, 51, 255, 255, 102, 0};
  std::copy(bytes, bytes + 6, reinterpret_cast<uint8_t*>(eight.data()));
  Planar in(2, 1, 3);
  gather(eight.colour(), {0, 0, 2, 1}, in.view, 2, 0, 1);
  EXPECT_EQ(in.values, (std::vector<float>{0, 1, 0.2f, 0.4f, 1, 0}));

  Frame sixteen({1, 1}, SampleType::u16, 1);
  *reinterpret_cast<uint16_t*>(sixteen.data()) = 13107;
  Planar gray(1, 1, 3);
  gather(sixteen.colour(), {0, 0, 1, 1}, gray.view, 1, 0, 1);
  EXPECT_EQ(gray.values, (std::vector<float>{0.2f, 0.2f, 0.2f}));
}

TEST(Gather, MirrorsBeyondThePartItReadsEvenWhenThatIsOnePixel) {
  Frame frame({4, 3}, SampleType::u8, 1);
  for (int i = 0; i < 12; ++i) frame.data()[i] = std::byte(i);
  Planar in(5, 4, 3);
  gather(frame.colour(), {1, 1, 3, 2}, in.view, 5, 0, 4);
  const auto value = [&](int y, int x) { return std::lround(in.at(0, y, x) * 255); };
  EXPECT_EQ((std::vector<long>{value(0, 0), value(0, 1), value(0, 2), value(0, 3), value(0, 4)}),
            (std::vector<long>{5, 6, 7, 6, 5}));
  EXPECT_EQ((std::vector<long>{value(0, 0), value(1, 0), value(2, 0), value(3, 0)}),
            (std::vector<long>{5, 9, 5, 9}));

  Planar one(4, 4, 3);
  gather(frame.colour(), {2, 2, 1, 1}, one.view, 4, 0, 4);
  for (const float v : one.values) EXPECT_EQ(std::lround(v * 255), 10);
}

TEST(Gather, FillsChannelsBeyondThreeWithZero) {
  Frame frame({1, 1}, SampleType::u8, 3);
  std::fill_n(frame.data(), 3, std::byte{255});
  Planar in(1, 1, 8);
  gather(frame.colour(), {0, 0, 1, 1}, in.view, 1, 0, 1);
  EXPECT_EQ(in.values, (std::vector<float>{1, 1, 1, 0, 0, 0, 0, 0}));
}

TEST(Store, RoundsHalfUpThenClampsAndMakesNanZero) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<float, int>> cases{
      {0.5f / 255, 1}, {0.499f / 255, 0}, {254.5f / 255, 255}, {1.0f, 255},
      {7.0f, 255},     {-0.001f, 0},      {-7.0f, 0},          {nan, 0},
      {infinity, 255}, {-infinity, 0},    {100.4f / 255, 100}, {100.6f / 255, 101}};
  for (const auto& [value, stored] : cases) {
    Planar out(1, 1, 3);
    out.values = {value, value, value};
    out.view.data = out.values.data();
    Frame frame({1, 1}, SampleType::u8, 3);
    store(out.view, frame.colour(), {0, 0, 1, 1}, 0, 1);
    for (int c = 0; c < 3; ++c) EXPECT_EQ(int(frame.data()[c]), stored) << value;
  }
}

TEST(Store, GivesBackEveryLevelThatGatherRead) {
  Frame frame({256, 256}, SampleType::u16, 1);
  auto* samples = reinterpret_cast<uint16_t*>(frame.data());
  for (int i = 0; i < 65536; ++i) samples[i] = uint16_t(i);
  Planar values(256, 256, 3);
  gather(frame.colour(), {0, 0, 256, 256}, values.view, 256, 0, 256);
  Frame back({256, 256}, SampleType::u16, 3);
  store(values.view, back.colour(), {0, 0, 256, 256}, 0, 256);
  const auto* result = reinterpret_cast<const uint16_t*>(back.data());
  for (int i = 0; i < 65536; ++i) ASSERT_EQ(result[3 * i + 1], i);
}

TEST(Store, KeepsFloatsAsTheyAre) {
  Planar out(1, 1, 3);
  out.values = {-1.5f, 0.25f, 2.0f};
  out.view.data = out.values.data();
  Frame frame({1, 1}, SampleType::f32, 3);
  store(out.view, frame.colour(), {0, 0, 1, 1}, 0, 1);
  const auto* stored = reinterpret_cast<const float*>(frame.data());
  EXPECT_EQ(std::vector<float>(stored, stored + 3), out.values);
}

TEST(Store, MakesGrayTheLumaOfClampedColours) {
  Planar out(1, 1, 3);
  out.values = {2.0f, 0.5f, -1.0f};
  out.view.data = out.values.data();
  Frame frame({1, 1}, SampleType::u8, 2);
  frame.data()[1] = std::byte{77};
  store(out.view, frame.colour(), {0, 0, 1, 1}, 0, 1);
  EXPECT_EQ(int(frame.data()[0]), std::lround((0.299 + 0.587 * 0.5) * 255));
  EXPECT_EQ(int(frame.data()[1]), 77) << "alpha belongs to another pass";
}

TEST(Luma, OfEqualChannelsIsTheirValue) {
  for (int i = 0; i <= 255; ++i) {
    const float v = float(i) / 255;
    EXPECT_EQ(std::lround(luma(v, v, v) * 255), i);
  }
}

}  // namespace
}  // namespace upres
