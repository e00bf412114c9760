// SPDX-License-Identifier: Apache-2.0
// What becomes of a picture when the memory runs out while it is made, when tiles are repaired, and
// on a device with memory of its own: on one that only seems to have these troubles.
#include "upscale/job_runner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/system.h"
#include "compile/compile.h"
#include "graph/footprint.h"
#include "support/networks.h"
#include "support/pictures.h"
#include "support/temporary_folder.h"
#include "upscale/upscaler.h"

namespace upres {
namespace {

using test::equal;
using test::Random;

constexpr int kNever = INT32_MAX;

/// What goes wrong on a device, and what it has done.
struct Troubles {
  int jobs_before = kNever;    ///< how many jobs are done before memory runs out
  int most_pixels = 0;         ///< that a job may read after that
  int repaired_every = 0;      ///< one of so many jobs is repaired; 0: none
  double bytes_per_pixel = 0;  ///< 0: what the processor needs
  int jobs = 0;
  int sessions = 0;
};

/// Keeps one job waiting, as engines do that work beside the processor.
class TroubledSession : public Session {
 public:
  TroubledSession(std::unique_ptr<Session> session, Troubles& troubles)
      : session_(std::move(session)), troubles_(troubles) {
    ++troubles_.sessions;
  }

  bool plan(Size) override { return true; }
  void submit(const Job& job) override {
    const auto waiting = std::exchange(waiting_, {});
    if (troubles_.jobs >= troubles_.jobs_before &&
        job.read.width * job.read.height > troubles_.most_pixels) {
      throw Error(ErrorCode::memory, "another program took the memory");  // what waits is lost
    }
    for (const Job& one : waiting) finish(one);
    waiting_.push_back(job);
  }
  void wait() override {
    for (const Job& job : std::exchange(waiting_, {})) finish(job);
  }
  int64_t repaired() const override { return repaired_; }

 private:
  void finish(const Job& job) {
    session_->submit(job);
    session_->wait();
    ++troubles_.jobs;
    if (troubles_.repaired_every > 0 && troubles_.jobs % troubles_.repaired_every == 0) ++repaired_;
  }

  std::unique_ptr<Session> session_;
  Troubles& troubles_;
  std::vector<Job> waiting_;
  int64_t repaired_ = 0;
};

class TroubledEngine : public Engine {
 public:
  TroubledEngine(std::unique_ptr<Engine> engine, Troubles& troubles)
      : engine_(std::move(engine)), troubles_(troubles) {}

  std::unique_ptr<Session> open() const override {
    return std::make_unique<TroubledSession>(engine_->open(), troubles_);
  }
  size_t bytes_needed(Size read) const override {
    if (troubles_.bytes_per_pixel == 0) return engine_->bytes_needed(read);
    return size_t(troubles_.bytes_per_pixel * read.width * read.height);
  }

 private:
  std::unique_ptr<Engine> engine_;
  Troubles& troubles_;
};

/// The processor, as a device with memory of its own.
class TroubledDevice : public Device {
 public:
  explicit TroubledDevice(Troubles& troubles) : troubles_(troubles) {}

  std::string name() const override { return "troubled"; }
  Capabilities capabilities() const override { return device_->capabilities(); }
  std::vector<Precision> precisions() const override { return {Precision::fp32}; }
  bool uses_host_memory() const override { return false; }
  size_t tile_budget() const override { return size_t(1) << 20; }
  size_t memory_available(size_t) const override { return size_t(1) << 30; }

 protected:
  std::unique_ptr<Engine> load_as(const Graph& graph, Precision) const override {
    return std::make_unique<TroubledEngine>(device_->load(graph), troubles_);
  }

 private:
  Troubles& troubles_;
  std::unique_ptr<Device> device_ = open_device("cpu", {.threads = 2});
};

/// A network on a troubled device.
struct Fixture {
  Fixture(const Graph& graph_, const Troubles& troubles_, TileOptions tiles = {.side = 80})
      : troubles(troubles_), graph(graph_), upscaler(device, *engine, graph, tiles) {}

  Frame run(const Frame& picture, const UpscaleOptions& options = {}) {
    const UpscaleEvents events = {
        .progress =
            [&](const Progress& now) {
              EXPECT_GE(now.pixels_done, progress.pixels_done);
              progress = now;
            },
        .planned = [&](const TileGrid& grid) { tile = grid.largest(); },
        .notice = [&](const std::string& text) { notices.push_back(text); }};
    progress = {};
    Frame result(upscaler.result_info(picture.info(), options));
    FrameSource source(picture);
    FrameSink sink(result);
    count = upscaler.run(source, false, sink, options, events, {});
    return result;
  }

  Troubles troubles;
  Graph graph;
  TroubledDevice device{troubles};
  std::unique_ptr<Engine> engine = compile(graph, device);
  Upscaler upscaler;
  std::vector<std::string> notices;
  Progress progress;
  TileCount count;
  Size tile;
};

TEST(JobRunner, WhenMemoryRunsOutTheRestIsMadeInSmallerTilesWithTheSamePixels) {
  Random random(5);
  const Graph graphs[] = {test::srvgg(random, 8, 2, 2), test::rrdbnet(random, 4, 4, 1, 2)};
  for (const Graph& graph : graphs) {
    ASSERT_LE(footprint(graph).halo, kLargestWholeHalo);
    const int most = 2 * footprint(graph).halo + 40;
    for (const bool eight_ways : {false, true}) {
      if (eight_ways && footprint(graph).alignment > 1) continue;  // takes long, shows no more
      const int channels = eight_ways ? 3 : 4;
      const Frame picture = test::random_frame(random, {231, 157}, SampleType::u8, channels);
      const UpscaleOptions options = {.size = {}, .type = {}, .eight_ways = eight_ways};
      const Frame expected = Fixture(graph, {}).run(picture, options);
      for (const int jobs_before : {0, 3}) {
        Fixture f(graph, {.jobs_before = jobs_before, .most_pixels = most * most});
        EXPECT_TRUE(test::equal_but_for_rounding(f.run(picture, options), expected))
            << jobs_before << " jobs before";
        ASSERT_EQ(f.notices.size(), 1u);
        EXPECT_NE(f.notices[0].find("memory ran out"), std::string::npos) << f.notices[0];
        EXPECT_GT(f.troubles.sessions, 1) << "what the larger tiles took is given back";
        EXPECT_EQ(f.progress.pixels_done, f.progress.pixels_total);
      }
    }
  }
}

TEST(JobRunner, WhereTilesFadeIntoEachOtherSmallerOnesDoToo) {
  Random random(5);
  const Graph graph = test::rrdbnet(random, 8, 8, 4);
  ASSERT_GT(footprint(graph).halo, kLargestWholeHalo);
  const Frame picture = test::random_frame(random, {150, 110}, SampleType::u8, 3);
  for (const int side : {0, 60}) {
    const TileOptions tiles = {.side = side, .overlap = 32};
    const Frame expected = Fixture(graph, {}, tiles).run(picture);
    Fixture f(graph, {.jobs_before = side == 0 ? 0 : 1, .most_pixels = 70 * 70}, tiles);
    const Frame made = f.run(picture);
    double squares = 0;
    for (size_t i = 0; i < made.total_bytes(); ++i) {
      squares += std::pow(double(made.data()[i]) - double(expected.data()[i]), 2);
    }
    EXPECT_LT(std::sqrt(squares / double(made.total_bytes())), 2.0) << side;
    EXPECT_FALSE(equal(made, expected)) << "or this test tests nothing";
    EXPECT_EQ(f.notices.size(), 1u);
    EXPECT_EQ(f.progress.pixels_done, f.progress.pixels_total);
  }
}

TEST(JobRunner, GivesUpWhenTheSmallestTileDoesNotFitAndServesTheNextPicture) {
  Random random(5);
  const Graph graph = test::srvgg(random, 8, 2, 2);
  const Frame picture = test::random_frame(random, {131, 117}, SampleType::u8, 3);
  Fixture f(graph, {.jobs_before = 1, .most_pixels = 10});
  EXPECT_TRUE(test::fails(ErrorCode::memory, "even for a tile of", [&] { f.run(picture); }));
  f.troubles.jobs_before = kNever;
  EXPECT_TRUE(equal(f.run(picture), Fixture(graph, {}).run(picture)));
}

TEST(JobRunner, TheNextPictureStartsWithLargeTilesAgain) {
  Random random(5);
  const Frame picture = test::random_frame(random, {100, 90}, SampleType::u8, 3);
  Fixture f(test::srvgg(random, 8, 2, 2), {.jobs_before = 2, .most_pixels = 45 * 45});
  f.run(picture);
  const int64_t tiles = f.count.made;
  f.troubles.jobs_before = kNever;
  f.run(picture);
  EXPECT_LT(f.count.made, tiles);
  EXPECT_EQ(f.notices.size(), 1u);
}

TEST(JobRunner, CountsRepairedTilesAndSaysSoOnceAPicture) {
  Random random(5);
  const Frame picture = test::random_frame(random, {100, 90}, SampleType::u8, 3);
  Fixture f(test::srvgg(random, 8, 2, 2), {.repaired_every = 4}, {.side = 40});
  for (const int pictures : {1, 2}) {
    f.run(picture);
    EXPECT_EQ(f.count.made, 9);
    EXPECT_EQ(f.count.repaired, 2) << "tiles 4 and 8, then 12 and 16";
    ASSERT_EQ(int(f.notices.size()), pictures);
    EXPECT_EQ(f.notices.back(),
              "2 of 9 tiles overflowed half precision and were computed again in single precision");
  }
  Fixture sound(f.graph, {});
  sound.run(picture);
  EXPECT_EQ(sound.count.repaired, 0);
  EXPECT_TRUE(sound.notices.empty());
}

TEST(Upscaler, AutomaticTilesFollowWhatTheEngineNeedsOnADeviceWithItsOwnMemory) {
  Random random(5);
  const Graph graph = test::srvgg(random, 8, 2, 2);
  const Frame picture = test::random_frame(random, {400, 300}, SampleType::u8, 3);
  const int shared = 2 * footprint(graph).halo;
  for (const double bytes_per_pixel : {50.0, 200.0}) {
    Fixture f(graph, {.bytes_per_pixel = bytes_per_pixel}, {});
    f.run(picture);
    const double side = std::sqrt(double(f.device.tile_budget()) / bytes_per_pixel);
    EXPECT_LE(f.tile.width, side);
    EXPECT_GT(f.tile.width, side / 2 - shared);
  }
}

TEST(Upscaler, ALimitOnTheHostsMemoryIsNoneOnADevicesOwn) {
  Random random(5);
  const Graph graph = test::srvgg(random, 8, 2, 2);
  const Frame picture = test::random_frame(random, {60, 50}, SampleType::u8, 3);
  const double kLarge = 100e3;  // 300 MB for the picture in one piece
  const size_t limit = resident_memory() + (64u << 20);
  Fixture f(graph, {.bytes_per_pixel = kLarge}, {.side = 0, .memory_limit = limit});
  f.run(picture);
  EXPECT_EQ(f.tile, picture.size());
  EXPECT_TRUE(f.notices.empty());
  EXPECT_TRUE(test::fails(ErrorCode::memory, "not enough memory", [&] {
    Fixture(graph, {}, {.side = 0, .memory_limit = 1 << 20}).run(picture);
  }));
}

}  // namespace
}  // namespace upres
