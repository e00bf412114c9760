// SPDX-License-Identifier: Apache-2.0
// Films in memory through a network: order, duplicates, what ends the work.
#include "upscale/film_stream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "base/error.h"
#include "compile/compile.h"
#include "support/networks.h"

namespace upres {
namespace {

/// A gray frame of 16 bits in memory of its own. Nothing of libav's is needed for it.
struct Gray {
  explicit Gray(Size size) : samples(size_t(size.width) * size_t(size.height)) {
    frame.view.format = {
        .size = size, .kind = FilmFormat::Kind::gray, .depth = 16, .full_range = true};
    frame.view.planes[0] = {.data = reinterpret_cast<std::byte*>(samples.data()),
                            .row_bytes = size.width * 2,
                            .step_bytes = 2,
                            .word_bytes = 2};
  }
  std::vector<uint16_t> samples;
  FilmFrame frame;
};

constexpr Size kSize = {20, 12};

/// Frames that are all of one value each.
class Fields {
 public:
  explicit Fields(const std::vector<uint16_t>& values) {
    for (const uint16_t value : values) {
      frames_.push_back(std::make_unique<Gray>(kSize));
      std::fill(frames_.back()->samples.begin(), frames_.back()->samples.end(), value);
      frames_.back()->frame.pts = int64_t(frames_.size()) * 10;
    }
  }
  std::optional<FilmFrame> next() {
    if (fails_at == next_) throw Error(ErrorCode::input, "no more");
    if (next_ == frames_.size()) return std::nullopt;
    return frames_[next_++]->frame;
  }
  size_t fails_at = size_t(-1);

 private:
  std::vector<std::unique_ptr<Gray>> frames_;
  size_t next_ = 0;
};

class Kept : public FilmSink {
 public:
  Kept() : format_(Gray({kSize.width * 2, kSize.height * 2}).frame.view.format) {}
  FilmLayout layout() const override {
    FilmLayout layout{.format = format_,
                      .total_bytes = size_t(format_.size.width) * size_t(format_.size.height) * 2};
    layout.planes[0] = {.row_bytes = format_.size.width * 2, .step_bytes = 2, .word_bytes = 2};
    return layout;
  }
  FilmFrame frame(const FilmFrame& source, std::shared_ptr<std::byte> samples) override {
    frames.push_back(std::make_unique<Gray>(format_.size));
    frames.back()->frame.pts = source.pts;
    std::memcpy(frames.back()->samples.data(), samples.get(), layout().total_bytes);
    return frames.back()->frame;
  }
  void put(const FilmFrame& made) override {
    if (int64_t(times.size()) == fails_at) throw Error(ErrorCode::output, "full");
    times.push_back(made.pts);
  }
  std::vector<std::unique_ptr<Gray>> frames;
  std::vector<int64_t> times;
  int64_t fails_at = -1;

 private:
  FilmFormat format_;
};

/// What a device that converts films itself is told to do.
struct Orders {
  bool has_room = true;       ///< else no session opens
  int64_t overflows_at = -1;  ///< of the frames that a session gets
  Size opened_for = {};
  std::atomic<int64_t> given = 0;  ///< frames to sessions
};

/// Repeats pixels of gray films, in memory: a frame is made when it is waited for.
class Doubling : public FilmSession {
 public:
  Doubling(const FilmRoute& route, Orders& orders) : route_(route), orders_(orders) {}
  const TileGrid& grid() const override { return route_.grid; }
  size_t depth() const override { return 3; }
  std::shared_ptr<std::byte> memory() override {
    return std::shared_ptr<std::byte>(new std::byte[route_.dst.total_bytes],
                                      std::default_delete<std::byte[]>());
  }
  void submit(const FilmView& src, std::shared_ptr<std::byte> dst) override {
    EXPECT_LT(under_way_.size(), depth());
    ++orders_.given;
    const auto* samples = reinterpret_cast<const uint16_t*>(src.planes[0].data);
    const auto count = size_t(src.format.size.width) * size_t(src.format.size.height);
    under_way_.push_back({{samples, samples + count}, std::move(dst)});
  }
  bool finish() override {
    last_ = std::move(under_way_.front());
    under_way_.pop_front();
    if (finished_++ == orders_.overflows_at) return false;
    const Size size = route_.dst.format.size;
    auto* out = reinterpret_cast<uint16_t*>(last_.dst.get());
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width; ++x) {
        *out++ = last_.samples[size_t(y / 2) * size_t(size.width / 2) + size_t(x / 2)];
      }
    }
    return true;
  }
  FilmView source(std::vector<std::byte>& memory) override {
    const auto bytes = std::as_bytes(std::span(last_.samples));
    memory.assign(bytes.begin(), bytes.end());
    FilmView view{.format = route_.src};
    view.planes[0] = {.data = memory.data(),
                      .row_bytes = route_.src.size.width * 2,
                      .step_bytes = 2,
                      .word_bytes = 2};
    return view;
  }
  double network_s() const override { return 0.001 * double(finished_); }
  bool same_samples(const FilmView&, const FilmView&) override {
    ADD_FAILURE() << "frames in the host's memory are compared there";
    return false;
  }

 private:
  struct UnderWay {
    std::vector<uint16_t> samples;
    std::shared_ptr<std::byte> dst;
  };
  FilmRoute route_;
  Orders& orders_;
  std::deque<UnderWay> under_way_;
  UnderWay last_;
  int64_t finished_ = 0;
};

class DoublingEngine : public Engine {
 public:
  DoublingEngine(std::unique_ptr<Engine> pictures, Orders& orders)
      : pictures_(std::move(pictures)), orders_(orders) {}
  std::unique_ptr<Session> open() const override { return pictures_->open(); }
  size_t bytes_needed(Size read) const override { return pictures_->bytes_needed(read); }
  std::unique_ptr<FilmSession> open_film(const FilmRoute& route) const override {
    if (!orders_.has_room) return nullptr;
    orders_.opened_for = route.src.size;
    return std::make_unique<Doubling>(route, orders_);
  }

 private:
  std::unique_ptr<Engine> pictures_;
  Orders& orders_;
};

class DoublingDevice : public Device {
 public:
  std::string name() const override { return "doubling"; }
  Capabilities capabilities() const override { return {}; }
  std::vector<Precision> precisions() const override { return {Precision::fp32}; }
  bool uses_host_memory() const override { return false; }
  size_t tile_budget() const override { return size_t(1) << 30; }
  size_t memory_available(size_t) const override { return size_t(1) << 30; }
  std::optional<GpuShare> gpu() const override { return GpuShare{}; }

 protected:
  std::unique_ptr<Engine> load_as(const Graph&, Precision) const override { return nullptr; }
};

/// A network that repeats pixels, on as many devices as a test wants.
class Devices {
 public:
  explicit Devices(size_t count) : device_(open_device("reference", {})) {
    const ValueId in = graph_.add_input(3);
    graph_.set_output(graph_.add("nearest", Upsample{2}, {in}));
    engine_ = compile(graph_, *device_);
    for (size_t i = 0; i < count; ++i) {
      upscalers_.push_back(std::make_unique<Upscaler>(*device_, *engine_, graph_, TileOptions{}));
      all.push_back(upscalers_.back().get());
    }
  }
  /// Devices that convert films themselves.
  Devices(size_t count, Orders& orders) : Devices(0) {
    device_ = std::make_unique<DoublingDevice>();
    engine_ = std::make_unique<DoublingEngine>(std::move(engine_), orders);
    for (size_t i = 0; i < count; ++i) {
      upscalers_.push_back(std::make_unique<Upscaler>(*device_, *engine_, graph_, TileOptions{}));
      all.push_back(upscalers_.back().get());
    }
  }
  std::vector<Upscaler*> all;

 private:
  Graph graph_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<Upscaler>> upscalers_;
};

FilmCount run(Fields& fields, Devices& devices, Kept& kept, const FilmStreamOptions& options = {},
              const std::stop_token& stop = {}) {
  return run_film([&] { return fields.next(); }, devices.all, kept, options, {}, stop);
}

TEST(FilmStream, KeepsTheOrderOnAnyNumberOfDevices) {
  std::vector<uint16_t> values;
  for (int i = 0; i < 50; ++i) values.push_back(uint16_t(i * 1000));
  for (const size_t count : {1, 2, 3}) {
    Fields fields(values);
    Devices devices(count);
    Kept kept;
    const FilmCount done = run(fields, devices, kept);
    EXPECT_EQ(done.frames, 50);
    EXPECT_EQ(done.duplicates, 0);
    ASSERT_EQ(kept.frames.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(kept.times[i], int64_t(i + 1) * 10);
      for (const uint16_t sample : kept.frames[i]->samples) EXPECT_EQ(sample, values[i]);
    }
  }
}

TEST(FilmStream, FramesThatDevicesConvertKeepTheirOrder) {
  std::vector<uint16_t> values;
  for (int i = 0; i < 50; ++i) values.push_back(uint16_t(i / 2 * 1000));  // each one twice
  for (const size_t count : {1, 2, 3}) {
    Fields fields(values);
    Orders orders;
    Devices devices(count, orders);
    Kept kept;
    const FilmCount done = run(fields, devices, kept);
    EXPECT_EQ(done.frames, 50);
    EXPECT_EQ(done.duplicates, 25);
    EXPECT_EQ(done.tiles.made, 25);
    EXPECT_NEAR(done.network_s, 0.025, 1e-9);
    EXPECT_EQ(orders.given, 25);
    ASSERT_EQ(kept.frames.size(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_EQ(kept.times[i], int64_t(i + 1) * 10);
      for (const uint16_t sample : kept.frames[i]->samples) EXPECT_EQ(sample, values[i]);
    }
  }
}

TEST(FilmStream, WhatOverflowsOnSuchADeviceIsMadeAsAPicture) {
  const std::vector<uint16_t> values = {10, 20, 30, 40, 50, 60};
  Fields fields(values);
  Orders orders{.overflows_at = 2};
  Devices devices(1, orders);
  Kept kept;
  const FilmCount done = run(fields, devices, kept);
  EXPECT_EQ(orders.given, 6);
  for (size_t i = 0; i < values.size(); ++i) {
    for (const uint16_t sample : kept.frames[i]->samples) EXPECT_EQ(sample, values[i]);
  }
  EXPECT_EQ(done.tiles.made, 6);
}

TEST(FilmStream, WhereSuchADeviceHasNoRoomItGetsPictures) {
  const std::vector<uint16_t> values = {10, 20, 30, 40, 50, 60};
  Fields fields(values);
  Orders orders{.has_room = false};
  Devices devices(2, orders);
  Kept kept;
  EXPECT_EQ(run(fields, devices, kept).frames, 6);
  EXPECT_EQ(orders.given, 0);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(kept.frames[i]->samples[7], values[i]);
}

TEST(FilmStream, WhatNeedsMoreThanOneRunGetsPictures) {
  for (const bool eight_ways : {false, true}) {
    Orders orders;
    Fields fields({10, 20});
    Devices devices(1, orders);
    Kept kept;
    run(fields, devices, kept, {.upscale = {.eight_ways = eight_ways}});
    EXPECT_EQ(orders.given, eight_ways ? 0 : 2);
  }
}

TEST(FilmStream, RunsFramesThatAreLikeTheOneBeforeOnce) {
  const std::vector<uint16_t> values = {5, 5, 5, 9, 5, 5};
  for (const bool once : {true, false}) {
    Fields fields(values);
    Devices devices(2);
    Kept kept;
    const FilmCount done = run(fields, devices, kept, {.duplicates_once = once});
    EXPECT_EQ(done.duplicates, once ? 3 : 0);
    EXPECT_EQ(done.tiles.made, once ? 3 : 6);
    for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(kept.frames[i]->samples[0], values[i]);
  }
}

TEST(FilmStream, EndsWithWhatASourceOrASinkThrows) {
  const std::vector<uint16_t> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  for (const size_t count : {1, 2, 3, 4}) {
    Orders orders{.has_room = false};
    // The last two have a thread for conversions each.
    Devices devices = count > 2 ? Devices(count - 2, orders) : Devices(count);
    Fields fields(values);
    fields.fails_at = 7;
    Kept kept;
    EXPECT_THROW(run(fields, devices, kept), Error);
    Fields whole(values);
    Kept full;
    full.fails_at = 3;
    try {
      run(whole, devices, full);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::output);
    }
  }
}

TEST(FilmStream, EndsAfterAStopRequestEvenWhilePaused) {
  Fields fields({1, 2, 3, 4, 5, 6, 7, 8});
  Devices devices(2);
  Kept kept;
  PauseButton pause;
  pause.toggle();
  std::stop_source stop;
  stop.request_stop();
  try {
    run(fields, devices, kept, {.pause = &pause}, stop.get_token());
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::interrupted);
  }
}

TEST(FilmStream, OfNoFramesIsDoneAtOnce) {
  Fields fields({});
  Devices devices(1);
  Kept kept;
  EXPECT_EQ(run(fields, devices, kept).frames, 0);
}

}  // namespace
}  // namespace upres
