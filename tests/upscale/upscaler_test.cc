// SPDX-License-Identifier: Apache-2.0
#include "upscale/upscaler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "compile/compile.h"
#include "support/networks.h"

namespace upres {
namespace {

using test::Random;

/// A network on a device, upscaling random pictures.
struct Fixture {
  explicit Fixture(const Graph& graph_, const char* backend = "cpu", size_t memory_limit = 0)
      : device(open_device(backend, {.threads = 2, .memory_limit = memory_limit})),
        graph(graph_),
        engine(compile(graph, *device)) {}

  Frame run(const Frame& picture, TileOptions tiles = {}, const UpscaleOptions& options = {}) {
    UpscaleEvents events;
    events.notice = [&](const std::string& text) { notices.push_back(text); };
    events.progress = [&](const Progress& progress) { last = progress; };
    return Upscaler(*device, *engine, graph, tiles).run(picture, options, events, {});
  }

  std::unique_ptr<Device> device;
  Graph graph;
  std::unique_ptr<Engine> engine;
  std::vector<std::string> notices;
  Progress last;
};

bool equal(const Frame& a, const Frame& b) {
  return a.size() == b.size() && a.type() == b.type() && a.channels() == b.channels() &&
         std::memcmp(a.data(), b.data(), a.total_bytes()) == 0;
}

OutputSize times(double scale) {
  return {.rule = OutputSize::Rule::scale, .scale = scale};
}

uint8_t byte(const Frame& frame, size_t i) {
  return uint8_t(frame.data()[i]);
}

TEST(Upscaler, TilesAreExactWhereTheHaloIsUsedWhole) {
  Random random(3);
  const Graph graphs[] = {test::srvgg(random, 16, 4, 4), test::rrdbnet(random, 8, 8, 1, 2)};
  for (const Graph& graph : graphs) {
    for (const char* backend : {"cpu", "reference"}) {
      Fixture f(graph, backend);
      const Frame picture = test::random_frame(random, {71, 53}, SampleType::u8, 3);
      const Frame untiled = f.run(picture, {.side = 0});
      for (const int side : {5, 17, 32, 70}) {
        EXPECT_TRUE(equal(f.run(picture, {.side = side}), untiled))
            << backend << ", tiles of " << side;
      }
    }
  }
}

TEST(Upscaler, BlendedTilesStayNearTheUntiledPicture) {
  Random random(3);
  const Graph graph = test::rrdbnet(random, 8, 8, 4);
  ASSERT_GT(footprint(graph).halo, kLargestWholeHalo);
  Fixture f(graph);
  const Frame picture = test::random_frame(random, {90, 70}, SampleType::u8, 3);
  const Frame untiled = f.run(picture, {.side = 0});
  const Frame tiled = f.run(picture, {.side = 24, .overlap = 32});
  ASSERT_EQ(tiled.size(), untiled.size());
  double squares = 0;
  for (size_t i = 0; i < tiled.total_bytes(); ++i) {
    squares += std::pow(double(byte(tiled, i)) - byte(untiled, i), 2);
  }
  EXPECT_LT(std::sqrt(squares / double(tiled.total_bytes())), 2.0);
  EXPECT_FALSE(equal(tiled, untiled)) << "or this test tests nothing";
}

TEST(Upscaler, KeepsChannelsAndDepthOfEveryKindOfPicture) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 1, 2));
  for (const SampleType type : {SampleType::u8, SampleType::u16}) {
    for (const int channels : {1, 2, 3, 4}) {
      const Frame result = f.run(test::random_frame(random, {9, 7}, type, channels));
      EXPECT_EQ(result.size(), (Size{18, 14}));
      EXPECT_EQ(result.type(), type);
      EXPECT_EQ(result.channels(), channels);
    }
  }
}

TEST(Upscaler, AlphaIsTheGrayResultOfTheAlphaChannel) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 1, 2));
  const Frame rgba = test::random_frame(random, {9, 7}, SampleType::u8, 4);
  Frame alpha({9, 7}, SampleType::u8, 1);
  for (size_t i = 0; i < 63; ++i) alpha.data()[i] = rgba.data()[4 * i + 3];
  const Frame result = f.run(rgba);
  const Frame expected = f.run(alpha);
  for (size_t i = 0; i < 18 * 14; ++i) ASSERT_EQ(byte(result, 4 * i + 3), byte(expected, i));
}

TEST(Upscaler, ConstantAlphaStaysAsItIsAndIsNotRun) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 1, 2));
  for (const OutputSize& size : {OutputSize{}, times(3.0)}) {
    Frame rgba = test::random_frame(random, {9, 7}, SampleType::u8, 4);
    f.run(rgba, {}, {.size = size});
    const int64_t with_alpha = f.last.pixels_total;
    for (size_t i = 0; i < 63; ++i) rgba.data()[4 * i + 3] = std::byte{201};
    const Frame result = f.run(rgba, {}, {.size = size});
    for (size_t i = 3; i < result.total_bytes(); i += 4) ASSERT_EQ(byte(result, i), 201);
    EXPECT_EQ(f.last.pixels_total * 2, with_alpha);
  }
}

TEST(Upscaler, AnyScaleIsTheNetworksResultResampled) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 1, 4));
  const Frame picture = test::random_frame(random, {10, 7}, SampleType::u8, 3);
  EXPECT_EQ(f.run(picture, {}, {.size = times(2.0)}).size(), (Size{20, 14}));
  EXPECT_EQ(f.run(picture, {}, {.size = times(1.5)}).size(), (Size{15, 11}));
  EXPECT_EQ(f.run(picture, {}, {.size = times(8.0)}).size(), (Size{80, 56}));
  EXPECT_EQ(f.run(picture, {}, {.size = times(0.01)}).size(), (Size{1, 1}));
  EXPECT_TRUE(equal(f.run(picture, {}, {.size = times(4.0)}), f.run(picture)));
}

TEST(Upscaler, ShortMemoryMakesTilesSmallerWithOneLineAndTheSamePixels) {
  Random random(3);
  const Graph graph = test::srvgg(random, 16, 4, 4);
  const Frame picture = test::random_frame(random, {300, 200}, SampleType::u8, 3);
  Fixture roomy(graph);
  const Frame expected = roomy.run(picture);
  EXPECT_TRUE(roomy.notices.empty());
  Fixture tight(graph, "cpu", roomy.engine->bytes_needed({150, 150}));
  EXPECT_TRUE(equal(tight.run(picture), expected));
  ASSERT_EQ(tight.notices.size(), 1u);
  EXPECT_NE(tight.notices[0].find("instead of 300x200 pixels"), std::string::npos)
      << tight.notices[0];
}

TEST(Upscaler, FailsWhenNotEvenTheSmallestTileFits) {
  Random random(3);
  Fixture f(test::srvgg(random, 16, 4, 4), "cpu", 1000);
  try {
    f.run(test::random_frame(random, {300, 200}, SampleType::u8, 3));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::memory);
  }
}

TEST(Upscaler, SaysWhenOverlapHasNoEffect) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 1, 2));
  const Frame picture = test::random_frame(random, {40, 40}, SampleType::u8, 3);
  f.run(picture, {.side = 16, .overlap = 5});
  ASSERT_EQ(f.notices.size(), 1u);
  EXPECT_NE(f.notices[0].find("--overlap is not used"), std::string::npos);
}

TEST(Upscaler, StopsWithinATileWhenAsked) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 4, 2));
  Upscaler upscaler(*f.device, *f.engine, f.graph, {});
  std::stop_source stop;
  UpscaleEvents events;
  int calls = 0;
  events.progress = [&](const Progress&) {
    if (++calls == 2) stop.request_stop();
  };
  const Frame picture = test::random_frame(random, {40, 40}, SampleType::u8, 3);
  try {
    upscaler.run(picture, {}, events, stop.get_token());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::interrupted);
  }
  EXPECT_EQ(calls, 2);
}

TEST(Upscaler, ProgressEndsAtItsTotal) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 1, 2));
  f.run(test::random_frame(random, {50, 40}, SampleType::u8, 4), {.side = 16});
  EXPECT_GT(f.last.pixels_total, 0);
  EXPECT_EQ(f.last.pixels_done, f.last.pixels_total);
}

}  // namespace
}  // namespace upres
