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
// As StagePlan counts them: a strip is made, one waits and one is taken.
constexpr size_t kWaitingStrips = 1;

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

/// A frame of the sink's, as samples in its layout.
using Samples = std::shared_ptr<std::byte>;

/// A frame on its way.
struct Item {
  FilmFrame frame;
  bool in_session = false;             ///< a FilmSession runs it
  std::unique_ptr<RowSource> picture;  ///< of a frame that none runs
  bool constant_alpha = false;
  Samples samples;  ///< of the result, while it is made
  std::promise<Samples> made;
  std::shared_future<Samples> result;  ///< the frame's, or of the one it is like
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

/// A part of a frame's result, as a picture.
struct Strip {
  std::shared_ptr<Item> item;
  Frame rows;
};

/// Makes samples of a result's strips, or hands them to the thread that does. On the processor
/// those are made at once of strips that its cache holds; no device waits for those of others.
class ResultSink : public RowSink {
 public:
  ResultSink(std::shared_ptr<Item> item, const FilmView& view, bool on_processor,
             BoundedQueue<Strip>& strips)
      : item_(std::move(item)), view_(view), on_processor_(on_processor), strips_(strips) {}
  void write(Frame rows) override {
    const bool is_whole = rows.size() == view_.format.size;
    if (on_processor_ && !is_whole) {
      if (!film_) film_.emplace(view_);
      return film_->write(std::move(rows));
    }
    const Busy waiting(waited_s_);
    if (!strips_.put({item_, std::move(rows)})) throw Error(ErrorCode::interrupted, "abandoned");
  }
  /// Whether nothing was handed over.
  bool made_all() const { return film_.has_value(); }
  double waited_s() const { return waited_s_; }

 private:
  std::shared_ptr<Item> item_;
  FilmView view_;
  bool on_processor_;
  BoundedQueue<Strip>& strips_;
  std::optional<FilmFromPicture> film_;
  double waited_s_ = 0;
};

/// Blocks of memory for frames, which come back when nobody has them any more. Shared by threads.
class Blocks : public std::enable_shared_from_this<Blocks> {
 public:
  explicit Blocks(size_t size_bytes) : size_bytes_(size_bytes) {}

  Samples take() {
    Buffer block;
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        block = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (!block.data()) block = Buffer(size_bytes_);
    auto held = std::make_shared<Held>(shared_from_this(), std::move(block));
    return {held, held->block.data()};
  }

 private:
  struct Held {
    Held(std::shared_ptr<Blocks> of, Buffer taken)
        : blocks(std::move(of)), block(std::move(taken)) {}
    ~Held() {
      const std::lock_guard lock(blocks->mutex_);
      blocks->free_.push_back(std::move(block));
    }
    std::shared_ptr<Blocks> blocks;
    Buffer block;
  };

  size_t size_bytes_;
  std::mutex mutex_;
  std::vector<Buffer> free_;
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
        blocks_(std::make_shared<Blocks>(layout_.total_bytes)),
        limit_(waiting_limit(layout_) + upscalers.size() * (may_open_sessions() ? 3 : 1)),
        to_run_(may_open_sessions() ? 2 : limit_),  // decoders on GPUs have few places for frames
        in_order_(limit_) {
    for (size_t i = 0; i < upscalers_.size(); ++i) strips_.emplace_back(kWaitingStrips);
    options_.upscale.size = {.rule = OutputSize::Rule::exact, .size = layout_.format.size};
    options_.upscale.type = SampleType::u16;
  }

  FilmCount run() {
    std::vector<std::thread> threads;
    threads.emplace_back([this] { guarded([this] { read(); }); });
    threads.emplace_back([this] { guarded([this] { write(); }); });
    for (BoundedQueue<Strip>& strips : strips_) {
      threads.emplace_back([&] { guarded([&] { convert(strips); }); });
    }
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
  static size_t waiting_limit(const FilmLayout& layout) {
    return std::clamp<size_t>(kWaitingBytes / layout.total_bytes, 2, kMostWaiting);
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
      for (BoundedQueue<Strip>& strips : strips_) strips.abandon();
    }
  }

  void check_stop() const {
    if (stop_.stop_requested()) throw Error(ErrorCode::interrupted, "interrupted");
  }

  bool may_open_sessions() const { return upscalers_.front()->converts_films(); }

  /// Before the first frame is handed on: has the devices run samples, if all of them can.
  void open_sessions(const FilmFormat& format) {
    if (!may_open_sessions()) return;
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

  /// The source's thread.
  void read() {
    std::shared_ptr<Item> last;
    FilmFrame last_frame;  // its samples: those of the item go when they are run
    while (!failed_) {
      check_stop();
      auto item = std::make_shared<Item>();
      std::optional<FilmFrame> frame = next_frame();
      if (!frame) break;
      if (!last) open_sessions(frame->view.format);
      {
        const Busy busy(count_.decode_s);
        item->in_session = !sessions_.empty() && frame->view.format == session_format_;
        item->frame = item->in_session ? std::move(*frame) : in_host_memory(*frame);
        item->duplicate = options_.duplicates_once && last && are_same(last_frame, item->frame);
        item->result = item->duplicate ? last->result : item->made.get_future().share();
        last_frame = item->frame;
        if (!item->duplicate && !item->in_session) {
          const FilmView& view = item->frame.view;
          item->picture = picture_for(view);
          item->constant_alpha = view.format.alpha && has_constant_alpha(view);
        }
        if (item->duplicate) item->frame = without_samples(item->frame);
      }
      last = item;
      if (!in_order_.put(item)) break;
      if (!item->duplicate && !to_run_.put(item)) break;
    }
    to_run_.close();
    in_order_.close();
  }

  /// On the processor rows are made when the network reads them, in its cache; a GPU finds them
  /// made.
  std::unique_ptr<RowSource> picture_for(const FilmView& film) const {
    if (upscalers_.front()->uses_host_memory()) return std::make_unique<PictureFromFilm>(film);
    return std::make_unique<PictureSource>(picture_from_film(film));
  }

  /// A device's thread: frames become results.
  void upscale(size_t device, bool tells) {
    Worker worker{.upscaler = *upscalers_[device], .strips = strips_[device]};
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
      run(worker, device, *item);
      if (tells) tell();
    }
    worker.strips.close();
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
    BoundedQueue<Strip>& strips;  ///< of results that are to be converted
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
    if (!item->in_session) {
      item->samples = blocks_->take();
      make(worker, item);
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
    if (!is_right) {
      // It overflowed half precision.
      std::vector<std::byte> memory;
      item->picture = std::make_unique<PictureFromFilm>(worker.session->source(memory));
      return make(worker, item);
    }
    const TileGrid& tiles = worker.session->grid();
    count(worker, {int64_t(tiles.columns()) * tiles.rows(), 0});
    finish(*item);
  }

  /// A picture through the network.
  void make(Worker& worker, const std::shared_ptr<Item>& item) {
    const Busy busy(worker.seconds);
    ResultSink sink(item, layout_.at(item->samples.get()), worker.upscaler.uses_host_memory(),
                    worker.strips);
    count(worker, worker.upscaler.run(*item->picture, item->constant_alpha, sink, options_.upscale,
                                      worker.events, stop_));
    item->picture.reset();
    worker.seconds -= sink.waited_s();
    if (sink.made_all()) finish(*item);
  }

  /// The thread beside a device's own.
  void convert(BoundedQueue<Strip>& strips) {
    std::optional<FilmFromPicture> film;
    int rows = 0;
    while (std::optional<Strip> strip = strips.take()) {
      if (rows == 0) film.emplace(layout_.at(strip->item->samples.get()));
      rows += strip->rows.size().height;
      film->write(std::move(strip->rows));
      if (rows < layout_.format.size.height) continue;
      rows = 0;
      finish(*strip->item);
    }
  }

  static void finish(Item& item) {
    item.frame = without_samples(item.frame);
    item.made.set_value(std::move(item.samples));
  }

  static void count(Worker& worker, const TileCount& tiles) {
    worker.tiles.made += tiles.made;
    worker.tiles.repaired += tiles.repaired;
  }

  /// The sink's thread.
  void write() {
    while (auto item = in_order_.take()) {
      Samples result;
      for (;;) {  // what is abandoned is not made
        if ((*item)->result.wait_for(std::chrono::milliseconds(100)) == std::future_status::ready) {
          result = (*item)->result.get();
          break;
        }
        if (failed_) return;
      }
      const Busy busy(count_.encode_s);
      sink_.put(sink_.frame((*item)->frame, std::move(result)));
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
  FilmLayout layout_;
  std::shared_ptr<Blocks> blocks_;
  std::vector<std::unique_ptr<FilmSession>> sessions_;  ///< one a device, or none
  FilmFormat session_format_;
  size_t limit_;
  BoundedQueue<std::shared_ptr<Item>> to_run_;
  BoundedQueue<std::shared_ptr<Item>> in_order_;
  std::deque<BoundedQueue<Strip>> strips_;  ///< one a device
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
