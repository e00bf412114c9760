// SPDX-License-Identifier: Apache-2.0
// Films in memory through a network: order, duplicates, what ends the work.
#include "upscale/film_stream.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
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
  const FilmFormat& format() const override { return format_; }
  FilmFrame frame(const FilmFrame& source) override {
    frames.push_back(std::make_unique<Gray>(format_.size));
    frames.back()->frame.pts = source.pts;
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
  for (const size_t count : {1, 2}) {
    Devices devices(count);
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
