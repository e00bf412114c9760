// SPDX-License-Identifier: Apache-2.0
#include "upscale/film_stream.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/bounded_queue.h"
#include "base/error.h"
#include "pixel/film.h"

namespace upres {
namespace {

using Clock = std::chrono::steady_clock;

// What results that wait may take; two may always be on their way.
constexpr size_t kWaitingBytes = size_t(256) << 20;
constexpr size_t kMostWaiting = 8;

/// Adds the time until it goes to a sum.
class Busy {
 public:
  explicit Busy(double& seconds) : seconds_(seconds) {}
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() { seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  double& seconds_;
  Clock::time_point start_ = Clock::now();
};

using Result = std::shared_ptr<const Frame>;

/// A frame on its way.
struct Item {
  FilmFrame frame;
  Frame picture;                      ///< empty where the frame is like the last one
  std::promise<Result> made;          ///< of the picture
  std::shared_future<Result> result;  ///< the frame's, or of the one it is like
  bool duplicate = false;
};

/// Gives a picture away as one strip.
class PictureSource : public RowSource {
 public:
  explicit PictureSource(Frame picture) : info_(picture.info()), picture_(std::move(picture)) {}
  const FrameInfo& info() const override { return info_; }
  Frame read() override { return std::move(picture_); }

 private:
  FrameInfo info_;
  Frame picture_;
};

/// Keeps a picture; one that comes as one strip is not copied.
class PictureSink : public RowSink {
 public:
  explicit PictureSink(const FrameInfo& info) : info_(info) {}
  void write(Frame rows) override {
    if (rows.info() == info_) {
      picture_ = std::move(rows);
      return;
    }
    if (next_ == 0) picture_ = Frame(info_);
    copy_rows(rows, 0, picture_, next_, rows.size().height);
    next_ += rows.size().height;
  }
  Frame take() { return std::move(picture_); }

 private:
  FrameInfo info_;
  Frame picture_;
  int next_ = 0;
};

class Run {
 public:
  Run(const FilmSource& source, const std::vector<Upscaler*>& upscalers, FilmSink& sink,
      const FilmStreamOptions& options, const FilmEvents& events, const std::stop_token& stop)
      : source_(source),
        upscalers_(upscalers),
        sink_(sink),
        options_(options),
        events_(events),
        stop_(stop),
        limit_(waiting_limit(sink.format()) + upscalers.size()),
        to_run_(limit_),
        in_order_(limit_) {
    options_.upscale.size = {.rule = OutputSize::Rule::exact, .size = sink.format().size};
    options_.upscale.type = SampleType::u16;
  }

  FilmCount run() {
    std::vector<std::thread> threads;
    threads.emplace_back([this] { guarded([this] { read(); }); });
    threads.emplace_back([this] { guarded([this] { write(); }); });
    for (size_t i = 1; i < upscalers_.size(); ++i) {
      threads.emplace_back([this, i] { guarded([this, i] { upscale(*upscalers_[i], false); }); });
    }
    guarded([this] {
      upscale(*upscalers_[0], true);
      tell_until_written();
    });
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    return count_;
  }

 private:
  static size_t waiting_limit(const FilmFormat& format) {
    return std::clamp<size_t>(kWaitingBytes / picture_of(format).total_bytes(), 2, kMostWaiting);
  }

  /// Does a thread's work; where it fails, all others end, too.
  template <typename Work>
  void guarded(Work&& work) {
    try {
      work();
    } catch (...) {
      {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
      }
      failed_ = true;
      to_run_.abandon();
      in_order_.abandon();
    }
  }

  void check_stop() const {
    if (stop_.stop_requested()) throw Error(ErrorCode::interrupted, "interrupted");
  }

  /// The source's thread: frames become pictures.
  void read() {
    std::shared_ptr<Item> last;
    std::unique_ptr<FilmPlan> plan;
    while (!failed_) {
      check_stop();
      auto item = std::make_shared<Item>();
      {
        const Busy busy(count_.decode_s);
        std::optional<FilmFrame> frame = source_();
        if (!frame) break;
        item->frame = std::move(*frame);
        const FilmView& view = item->frame.view;
        item->duplicate = options_.duplicates_once && last &&
                          last->frame.view.format == view.format &&
                          same_samples(last->frame.view, view);
        if (item->duplicate) {
          item->result = last->result;
        } else {
          if (!plan || plan->format != view.format) plan = std::make_unique<FilmPlan>(view.format);
          item->picture = Frame(picture_of(view.format));
          picture_from_film(*plan, view, item->picture, 0, view.format.size.height);
          item->result = item->made.get_future().share();
        }
      }
      last = item;
      if (!in_order_.put(item)) break;
      if (!item->duplicate && !to_run_.put(item)) break;
    }
    to_run_.close();
    in_order_.close();
  }

  /// A device's thread: pictures become results.
  void upscale(Upscaler& upscaler, bool tells) {
    double seconds = 0;
    TileCount tiles;
    UpscaleEvents events;
    if (tells) {
      events.progress = [this](const Progress&) { tell(); };
      events.notice = events_.notice;
      events.planned = events_.planned;
    }
    while (auto item = to_run_.take()) {
      if (options_.pause) {
        options_.pause->wait(stop_, [&] {
          if (tells) tell();
        });
      }
      check_stop();
      try {
        const Busy busy(seconds);
        const TileCount run = make(upscaler, **item, events);
        tiles.made += run.made;
        tiles.repaired += run.repaired;
      } catch (...) {
        (*item)->made.set_exception(std::current_exception());
        throw;
      }
      events.planned = {};  // the same for all
      if (tells) tell();
    }
    const std::lock_guard lock(mutex_);
    count_.network_s += seconds;
    count_.tiles.made += tiles.made;
    count_.tiles.repaired += tiles.repaired;
  }

  TileCount make(Upscaler& upscaler, Item& item, const UpscaleEvents& events) {
    const FrameInfo info = item.picture.info();
    bool constant_alpha = false;
    if (info.has_alpha()) {
      FrameSource scanned(item.picture);
      constant_alpha = has_constant_alpha(scanned);
    }
    PictureSource source(std::move(item.picture));
    PictureSink sink(upscaler.result_info(info, options_.upscale));
    const TileCount tiles =
        upscaler.run(source, constant_alpha, sink, options_.upscale, events, stop_);
    item.made.set_value(std::make_shared<const Frame>(sink.take()));
    return tiles;
  }

  /// The sink's thread: results become frames.
  void write() {
    const FilmPlan plan(sink_.format());
    while (auto item = in_order_.take()) {
      Result result;
      for (;;) {  // what is abandoned is not made
        if ((*item)->result.wait_for(std::chrono::milliseconds(100)) == std::future_status::ready) {
          result = (*item)->result.get();
          break;
        }
        if (failed_) return;
      }
      const Busy busy(count_.encode_s);
      FilmFrame made = sink_.frame((*item)->frame);
      film_from_picture(plan, *result, made.view, 0, plan.format.size.height);
      sink_.put(made);
      if ((*item)->duplicate) ++count_.duplicates;
      ++written_;
    }
    count_.frames = written_;
    done_ = true;
  }

  void tell() {
    if (events_.progress) events_.progress(written_);
  }

  void tell_until_written() {
    while (!done_ && !failed_) {
      check_stop();
      tell();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    tell();
  }

  const FilmSource& source_;
  const std::vector<Upscaler*>& upscalers_;
  FilmSink& sink_;
  FilmStreamOptions options_;
  const FilmEvents& events_;
  const std::stop_token& stop_;
  size_t limit_;
  BoundedQueue<std::shared_ptr<Item>> to_run_;
  BoundedQueue<std::shared_ptr<Item>> in_order_;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> done_ = false;
  std::atomic<int64_t> written_ = 0;
  FilmCount count_;  ///< each part by one thread, or under the mutex
};

}  // namespace

void PauseButton::toggle() {
  paused_ = !paused_;
}

void PauseButton::wait(const std::stop_token& stop, const std::function<void()>& meanwhile) const {
  while (paused_ && !stop.stop_requested()) {
    meanwhile();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

FilmCount run_film(const FilmSource& source, const std::vector<Upscaler*>& upscalers,
                   FilmSink& sink, const FilmStreamOptions& options, const FilmEvents& events,
                   const std::stop_token& stop) {
  UPRES_ASSERT(!upscalers.empty(), "something runs the network");
  return Run(source, upscalers, sink, options, events, stop).run();
}

}  // namespace upres
