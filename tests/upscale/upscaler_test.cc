// SPDX-License-Identifier: Apache-2.0
#include "upscale/upscaler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/system.h"
#include "compile/compile.h"
#include "frame/oriented.h"
#include "support/networks.h"
#include "support/pictures.h"
#include "support/temporary_folder.h"

namespace upres {
namespace {

using test::equal;
using test::equal_but_for_rounding;
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

OutputSize times(double scale) {
  return {.rule = OutputSize::Rule::scale, .scale = scale};
}

uint8_t byte(const Frame& frame, size_t i) {
  return uint8_t(frame.data()[i]);
}

void copy_floats(const FrameView& from, const FrameView& to) {
  for (size_t c = 0; c < 3; ++c) {
    const Plane &src = from.planes[c], &dst = to.planes[c];
    for (int y = 0; y < from.size.height; ++y) {
      for (int x = 0; x < from.size.width; ++x) {
        std::memcpy(dst.data + y * dst.row_bytes + x * dst.step_bytes,
                    src.data + y * src.row_bytes + x * src.step_bytes, sizeof(float));
      }
    }
  }
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
        const Frame tiled = f.run(picture, {.side = side});
        const bool exact = std::string_view(backend) == "reference";
        EXPECT_TRUE(exact ? equal(tiled, untiled) : equal_but_for_rounding(tiled, untiled))
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
  EXPECT_TRUE(equal_but_for_rounding(tight.run(picture), expected));
  ASSERT_EQ(tight.notices.size(), 1u);
  EXPECT_NE(tight.notices[0].find("instead of 300x200 pixels"), std::string::npos)
      << tight.notices[0];
}

TEST(Upscaler, GivesTheSameBytesWhateverTheStrips) {
  Random random(3);
  const TileOptions kTiles = {.side = 12, .overlap = 8};
  const Graph graphs[] = {test::srvgg(random, 8, 2, 2), test::rrdbnet(random, 4, 4, 4, 2)};
  ASSERT_GT(footprint(graphs[1]).halo, kLargestWholeHalo) << "or nothing is blended";
  for (const Graph& graph : graphs) {
    Fixture f(graph);
    for (const int channels : {2, 3}) {
      const Frame picture = test::random_frame(random, {35, 29}, SampleType::u8, channels);
      for (const UpscaleOptions& options :
           {UpscaleOptions{}, UpscaleOptions{.size = times(1.5)},
            UpscaleOptions{.size = times(5), .repeat = true}, UpscaleOptions{.eight_ways = true}}) {
        const Frame whole = f.run(picture, kTiles, options);
        for (const int strip : {1, 7, 28}) {
          test::StripSource source(picture, strip);
          Frame made(whole.info());
          FrameSink sink(made);
          Upscaler(*f.device, *f.engine, f.graph, kTiles).run(source, false, sink, options, {}, {});
          EXPECT_TRUE(equal(made, whole)) << strip << " rows";
        }
      }
    }
  }
}

TEST(Upscaler, EightWaysAreThePlainAverageOfEightRuns) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 2, 2));
  const Frame picture = test::random_frame(random, {11, 7}, SampleType::f32, 3);
  const Frame made = f.run(picture, {}, {.eight_ways = true});
  std::vector<double> sum(made.total_bytes() / sizeof(float));
  for (const Orientation& orientation : kOrientations) {
    const FrameView from = oriented(picture.colour(), orientation);
    const Frame turned(from.size, SampleType::f32, 3);
    copy_floats(from, turned.colour());
    const Frame result = f.run(turned);
    const Frame upright(made.info());
    copy_floats(result.colour(), oriented(upright.colour(), orientation));
    for (size_t i = 0; i < sum.size(); ++i) {
      sum[i] += double(reinterpret_cast<const float*>(upright.data())[i]) / 8;
    }
  }
  for (size_t i = 0; i < sum.size(); ++i) {
    ASSERT_NEAR(reinterpret_cast<const float*>(made.data())[i], sum[i], 1e-5);
  }
}

TEST(Upscaler, TilesOfEightWaysAreExactWhereTheHaloIsUsedWhole) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 2, 2));
  const Frame picture = test::random_frame(random, {41, 37}, SampleType::u8, 4);
  const Frame untiled = f.run(picture, {.side = 0}, {.eight_ways = true});
  for (const int side : {9, 20}) {
    EXPECT_TRUE(equal(f.run(picture, {.side = side}, {.eight_ways = true}), untiled)) << side;
  }
}

TEST(Upscaler, RepeatedIsWhatTwoRunsAreWith16BitsBetween) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 1, 2));
  const Frame picture = test::random_frame(random, {12, 9}, SampleType::u8, 4);
  const Frame once = f.run(picture, {}, {.type = SampleType::u16});
  const Frame twice = f.run(once, {}, {.type = SampleType::u8});
  EXPECT_TRUE(equal(f.run(picture, {}, {.size = times(4), .repeat = true}), twice));
  // A third run makes 8 of it, which is resampled to 5.
  EXPECT_EQ(f.run(picture, {}, {.size = times(5), .repeat = true}).size(), (Size{60, 45}));
  // Where one run is enough there is no second one.
  const UpscaleOptions enough = {.size = times(1.5), .repeat = true};
  EXPECT_TRUE(equal(f.run(picture, {}, enough), f.run(picture, {}, {.size = times(1.5)})));
}

TEST(Upscaler, DepthIsRoundedOnce) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 1, 2));
  for (const SampleType from : {SampleType::u8, SampleType::u16, SampleType::f32}) {
    const Frame picture = test::random_frame(random, {9, 7}, from, 3);
    const Frame floats = f.run(picture, {}, {.type = SampleType::f32});
    const Frame deep = f.run(picture, {}, {.type = SampleType::u16});
    const Frame flat = f.run(picture, {}, {.type = SampleType::u8});
    for (size_t i = 0; i < flat.total_bytes(); ++i) {
      const float value = std::clamp(reinterpret_cast<const float*>(floats.data())[i], 0.0f, 1.0f);
      ASSERT_NEAR(reinterpret_cast<const uint16_t*>(deep.data())[i], value * 65535, 0.51);
      ASSERT_NEAR(byte(flat, i), value * 255, 0.501);
    }
  }
}

TEST(Upscaler, TilesOfWidePicturesAreLessHighAndExact) {
  Random random(3);
  Fixture f(test::srvgg(random, 8, 1, 4));
  // 12 bytes of picture and 3 x 16 x 12 of result a pixel: 256 MiB are some 140 rows of it.
  const Frame picture = test::random_frame(random, {3000, 170}, SampleType::f32, 3);
  std::vector<Size> tiles;
  const UpscaleEvents events = {
      .planned = [&](const TileGrid& grid) { tiles.push_back(grid.largest()); }};
  const Frame made = Upscaler(*f.device, *f.engine, f.graph, {}).run(picture, {}, events, {});
  ASSERT_EQ(tiles.size(), 1u);
  EXPECT_LT(tiles[0].height, 170);
  EXPECT_TRUE(equal_but_for_rounding(made, f.run(picture, {.side = 0})));
}

TEST(Upscaler, MemoryLimitMakesTilesSmallerWithOneLineAndTheSamePixels) {
  Random random(3);
  const Graph graph = test::srvgg(random, 16, 4, 4);
  const Frame picture = test::random_frame(random, {300, 200}, SampleType::u8, 3);
  Fixture f(graph);
  const Frame expected = f.run(picture);
  const size_t taken = resident_memory() + f.engine->bytes_needed({150, 150}) + (4u << 20);
  EXPECT_TRUE(equal_but_for_rounding(f.run(picture, {.memory_limit = taken}), expected));
  ASSERT_EQ(f.notices.size(), 1u);
  EXPECT_NE(f.notices[0].find("instead of 300x200 pixels"), std::string::npos) << f.notices[0];
  EXPECT_TRUE(test::fails(ErrorCode::memory, "not enough memory",
                          [&] { f.run(picture, {.memory_limit = 1 << 20}); }));
}

/// Another engine, which takes no more than some size.
class SmallEngine : public Engine {
 public:
  SmallEngine(const Engine& engine, Size largest) : engine_(engine), largest_(largest) {}
  std::unique_ptr<Session> open() const override { return engine_.open(); }
  size_t bytes_needed(Size read) const override { return engine_.bytes_needed(read); }
  Size largest() const override { return largest_; }

 private:
  const Engine& engine_;
  Size largest_;
};

TEST(Upscaler, TilesThatTheEngineDoesNotTakeBecomeSmallerWithOneLineWhereTheyWereAskedFor) {
  Random random(3);
  Fixture f(test::srvgg(random, 16, 4, 4));
  const Frame picture = test::random_frame(random, {150, 110}, SampleType::u8, 3);
  const Frame expected = f.run(picture, {.side = 0});
  const SmallEngine engine(*f.engine, {100, 80});
  std::vector<std::string> notices;
  std::vector<Size> tiles;
  const UpscaleEvents events = {
      .planned = [&](const TileGrid& grid) { tiles.push_back(grid.largest()); },
      .notice = [&](const std::string& sentence) { notices.push_back(sentence); }};
  const auto run = [&](TileOptions options) {
    return Upscaler(*f.device, engine, f.graph, options).run(picture, {}, events, {});
  };
  EXPECT_TRUE(equal_but_for_rounding(run({}), expected));
  EXPECT_TRUE(equal_but_for_rounding(run({.side = 32}), expected));
  EXPECT_TRUE(notices.empty());
  EXPECT_TRUE(equal_but_for_rounding(run({.side = 0}), expected));
  ASSERT_EQ(notices.size(), 1u);
  EXPECT_NE(notices[0].find("instead of 150x110 pixels: the engine takes up to 100x80"),
            std::string::npos)
      << notices[0];
  for (const Size tile : tiles) {
    EXPECT_LE(tile.width, 100);
    EXPECT_LE(tile.height, 80);
  }
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
