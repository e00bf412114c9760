// SPDX-License-Identifier: Apache-2.0
#include "upscale/film_stream.h"

#include <algorithm>
#include <chrono>
#include <deque>
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

/// What becomes of a frame: a picture, or samples as the sink lays them out.
struct Result {
  std::shared_ptr<const Frame> picture;
  std::shared_ptr<std::byte> samples;
};

/// A frame on its way.
struct Item {
  FilmFrame frame;
  bool as_samples = false;             ///< a FilmSession runs it
  Frame picture;                       ///< of a frame that none runs
  std::shared_ptr<std::byte> samples;  ///< of the result, while a session makes it
  std::promise<Result> made;
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
        layout_(sink.layout()),
        limit_(waiting_limit(sink.format()) + upscalers.size() * (may_run_samples() ? 3 : 1)),
        to_run_(may_run_samples() ? 2 : limit_),  // decoders on GPUs have few places for frames
        in_order_(limit_) {
    options_.upscale.size = {.rule = OutputSize::Rule::exact, .size = sink.format().size};
    options_.upscale.type = SampleType::u16;
  }

  FilmCount run() {
    std::vector<std::thread> threads;
    threads.emplace_back([this] { guarded([this] { read(); }); });
    threads.emplace_back([this] { guarded([this] { write(); }); });
    for (size_t i = 1; i < upscalers_.size(); ++i) {
      threads.emplace_back([this, i] { guarded([this, i] { upscale(i, false); }); });
    }
    guarded([this] {
      upscale(0, true);
      tell_until_written();
    });
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    const std::chrono::duration<double> span = last_end_ - first_begin_;
    if (span.count() > 0) {
      count_.network_share = count_.network_s / (span.count() * double(upscalers_.size()));
    }
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

  bool may_run_samples() const {
    return layout_.total_bytes > 0 && upscalers_.front()->converts_films();
  }

  /// Before the first frame is handed on: has the devices run samples, if all of them can.
  void open_sessions(const FilmFormat& format) {
    if (!may_run_samples()) return;
    for (Upscaler* upscaler : upscalers_) {
      auto session = upscaler->open_film(format, layout_, options_.upscale);
      if (!session) return sessions_.clear();
      sessions_.push_back(std::move(session));
    }
    session_format_ = format;
  }

  bool are_same(const FilmFrame& a, const FilmFrame& b) {
    if (a.view.format != b.view.format) return false;
    const bool on_host = a.view.memory != MemoryKind::device && b.view.memory != MemoryKind::device;
    return on_host ? same_samples(a.view, b.view) : sessions_.front()->same_samples(a.view, b.view);
  }

  std::optional<FilmFrame> next_frame() {
    const Busy busy(count_.decode_s);
    return source_();
  }

  /// The source's thread: frames become pictures, where no device does that.
  void read() {
    std::shared_ptr<Item> last;
    FilmFrame last_frame;  // its samples: those of the item go when they are run
    std::unique_ptr<FilmPlan> plan;
    while (!failed_) {
      check_stop();
      auto item = std::make_shared<Item>();
      std::optional<FilmFrame> frame = next_frame();
      if (!frame) break;
      if (!last) open_sessions(frame->view.format);
      {
        const Busy busy(count_.decode_s);
        item->as_samples = !sessions_.empty() && frame->view.format == session_format_;
        item->frame = item->as_samples ? std::move(*frame) : in_host_memory(*frame);
        const FilmView& view = item->frame.view;
        item->duplicate = options_.duplicates_once && last && are_same(last_frame, item->frame);
        if (item->duplicate) {
          item->result = last->result;
        } else {
          if (!item->as_samples) {
            if (!plan || plan->format != view.format) {
              plan = std::make_unique<FilmPlan>(view.format);
            }
            item->picture = Frame(picture_of(view.format));
            picture_from_film(*plan, view, item->picture, 0, view.format.size.height);
          }
          item->result = item->made.get_future().share();
        }
      }
      last = item;
      last_frame = item->frame;
      if (item->duplicate) item->frame = without_samples(item->frame);
      if (!in_order_.put(item)) break;
      if (!item->duplicate && !to_run_.put(item)) break;
    }
    to_run_.close();
    in_order_.close();
  }

  /// A device's thread: frames become results.
  void upscale(size_t device, bool tells) {
    Worker worker{.upscaler = *upscalers_[device]};
    if (tells) {
      worker.events.progress = [this](const Progress&) { tell(); };
      worker.events.notice = events_.notice;
      worker.events.planned = events_.planned;
    }
    std::optional<Clock::time_point> began;
    while (auto item = next_for(worker)) {
      if (!*item) {
        finish_first(worker);
        continue;
      }
      if (options_.pause) {
        options_.pause->wait(stop_, [&] {
          if (tells) tell();
        });
      }
      check_stop();
      if (!began) began = Clock::now();
      try {
        run(worker, device, *item);
      } catch (...) {
        (*item)->made.set_exception(std::current_exception());
        throw;
      }
      if (tells) tell();
    }
    const std::lock_guard lock(mutex_);
    count_.network_s += worker.seconds + (worker.session ? worker.session->network_s() : 0);
    count_.tiles.made += worker.tiles.made;
    count_.tiles.repaired += worker.tiles.repaired;
    if (!began) return;
    first_begin_ = std::min(first_begin_, *began);
    last_end_ = std::max(last_end_, Clock::now());
  }

  /// What a device's thread has.
  struct Worker {
    Upscaler& upscaler;
    FilmSession* session = nullptr;
    std::deque<std::shared_ptr<Item>> under_way = {};  ///< in the session
    UpscaleEvents events = {};
    double seconds = 0;  ///< of pictures
    TileCount tiles = {};
  };

  /// The next frame to be run; null where one that is under way is to be finished first; none at
  /// the end.
  std::optional<std::shared_ptr<Item>> next_for(Worker& worker) {
    if (worker.under_way.empty()) return to_run_.take();
    if (worker.under_way.size() < worker.session->depth()) {
      if (auto item = to_run_.try_take()) return item;
    }
    return nullptr;
  }

  void run(Worker& worker, size_t device, const std::shared_ptr<Item>& item) {
    if (!item->as_samples) {
      const Busy busy(worker.seconds);
      count(worker, make(worker.upscaler, *item, worker.events));
      worker.events.planned = {};  // the same for all
      return;
    }
    worker.session = sessions_[device].get();
    if (worker.events.planned) worker.events.planned(worker.session->grid());
    worker.events.planned = {};
    item->samples = worker.session->memory();
    worker.session->submit(item->frame.view, item->samples);
    item->frame = without_samples(item->frame);
    worker.under_way.push_back(item);
  }

  void finish_first(Worker& worker) {
    const bool is_right = worker.session->finish();
    const std::shared_ptr<Item> item = std::move(worker.under_way.front());
    worker.under_way.pop_front();
    if (is_right) {
      const TileGrid& tiles = worker.session->grid();
      count(worker, {int64_t(tiles.columns()) * tiles.rows(), 0});
    } else {
      make_again(worker, item->samples.get());
    }
    item->made.set_value({nullptr, std::move(item->samples)});
  }

  /// A frame that overflowed half precision in a session, as a picture.
  void make_again(Worker& worker, std::byte* samples) {
    const Busy busy(worker.seconds);
    std::vector<std::byte> memory;
    const FilmView came = worker.session->source(memory);
    Frame picture(picture_of(came.format));
    picture_from_film(FilmPlan(came.format), came, picture, 0, came.format.size.height);
    PictureSink sink(worker.upscaler.result_info(picture.info(), options_.upscale));
    PictureSource source(std::move(picture));
    count(worker, worker.upscaler.run(source, false, sink, options_.upscale, worker.events, stop_));
    film_from_picture(FilmPlan(layout_.format), sink.take(), layout_.at(samples), 0,
                      layout_.format.size.height);
  }

  static void count(Worker& worker, const TileCount& tiles) {
    worker.tiles.made += tiles.made;
    worker.tiles.repaired += tiles.repaired;
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
    item.made.set_value({std::make_shared<const Frame>(sink.take()), nullptr});
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
      sink_.put(frame_of(plan, (*item)->frame, result));
      if ((*item)->duplicate) ++count_.duplicates;
      ++written_;
    }
    count_.frames = written_;
    done_ = true;
  }

  FilmFrame frame_of(const FilmPlan& plan, const FilmFrame& source, const Result& result) {
    if (result.samples) return sink_.frame(source, result.samples);
    FilmFrame made = sink_.frame(source);
    film_from_picture(plan, *result.picture, made.view, 0, plan.format.size.height);
    return made;
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
  FilmLayout layout_;
  std::vector<std::unique_ptr<FilmSession>> sessions_;  ///< one a device, or none
  FilmFormat session_format_;
  size_t limit_;
  BoundedQueue<std::shared_ptr<Item>> to_run_;
  BoundedQueue<std::shared_ptr<Item>> in_order_;
  std::mutex mutex_;
  std::exception_ptr failure_;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> done_ = false;
  std::atomic<int64_t> written_ = 0;
  Clock::time_point first_begin_ = Clock::time_point::max();
  Clock::time_point last_end_ = Clock::time_point::min();
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
