// SPDX-License-Identifier: Apache-2.0
#include "image_run.h"

#include <malloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/system.h"
#include "failure.h"
#include "frame/row_queue.h"
#include "loaded.h"
#include "media/image_writer.h"
#include "report.h"
#include "stopwatch.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

// Rows of one picture that are read ahead, and that wait for their encoder.
constexpr size_t kReadAhead = size_t(16) << 20;
constexpr size_t kWriteBehind = size_t(64) << 20;

// What all pictures that wait for their encoders may take; one may always be on its way.
constexpr size_t kWritersBudget = size_t(512) << 20;

/// Lets blocks as large as rows of pictures go back to the system when they are freed. Left alone,
/// glibc keeps them for the thread that had them, and every encoder has a thread of its own.
void return_freed_rows() {
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
}

/// A task that passed its checks.
struct Picture {
  Task task;
  FrameInfo info;
};

/// A picture whose rows are being read.
struct Opened {
  std::unique_ptr<ReadAhead> rows;
  const ImageReader* reader = nullptr;  ///< where they come from
  ImageMetadata metadata;
  size_t bytes_held = 0;
  bool constant_alpha = false;
};

Opened open(const fs::path& path, const ReadOptions& options) {
  Opened opened;
  auto reader = std::make_unique<ImageReader>(path, options);
  if (reader->info().has_alpha()) {
    ImageReader scanned(path, options);
    opened.constant_alpha = has_constant_alpha(scanned);
  }
  opened.metadata = reader->metadata();
  opened.reader = reader.get();
  opened.bytes_held = reader->bytes_held();
  opened.rows = std::make_unique<ReadAhead>(std::move(reader), kReadAhead);
  return opened;
}

/// A picture that is made and whose file is still being encoded.
struct Pending {
  Task task;
  FrameInfo result;
  std::unique_ptr<ImageWriter> writer;
  size_t bytes = 0;
  TileCount tiles;
  PictureTimes times;
};

std::optional<timespec> time_of(const fs::path& file) {
  struct stat status {};
  return stat(file.c_str(), &status) == 0 ? std::optional(status.st_mtim) : std::nullopt;
}

class ImageRun {
 public:
  ImageRun(const ImageOptions& options, std::stop_token stop)
      : options_(options),
        existing_(options.overwrite ? Existing::replace : Existing::refuse),
        report_(options.verbosity, options.json),
        stop_(std::move(stop)) {}

  int run() {
    const auto device = open_device(options_.device, report_.load_events(stop_));
    const std::vector<Task> tasks = plan_tasks(options_.files);
    check_encoding(tasks);
    std::vector<Picture> pictures = checked(tasks);
    if (!pictures.empty()) {
      Stopwatch watch;
      const LoadedModel model = load_wanted_model(options_);
      LoadedNetwork network(*device, model, options_);
      upres::tell(report_, options_, model, *device, watch.lap());
      make(holding(std::move(pictures), network.upscaler), network.upscaler);
    }
    report_.ended(int(tasks.size()), done_, skipped_, failed_);
    if (failed_ == 0) return 0;
    return tasks.size() == 1 ? last_failure_ : 1;
  }

 private:
  /// Encoding options must mean something to at least one of the outputs.
  void check_encoding(const std::vector<Task>& tasks) const {
    const auto means_something = [&](const Task& task) {
      try {
        check_options(task.format, options_.encode);
      } catch (const Error&) {
        return false;
      }
      return true;
    };
    if (std::ranges::none_of(tasks, means_something)) {
      check_options(tasks.front().format, options_.encode);
    }
  }

  /// The pictures that can be made, as far as one can know before the model is there.
  std::vector<Picture> checked(const std::vector<Task>& tasks) {
    std::vector<Picture> pictures;
    for (const Task& task : tasks) {
      if (options_.skip && output_exists(task)) {
        ++skipped_;
        report_.skipped(task);
        continue;
      }
      attempt(task, [&] {
        const FrameInfo info = read_image_info(task.input, options_.read);
        check_output(task, existing_);
        pictures.push_back({task, info});
      });
    }
    return pictures;
  }

  /// The pictures whose results their formats can hold.
  std::vector<Picture> holding(std::vector<Picture> pictures, const Upscaler& upscaler) {
    std::vector<Picture> fitting;
    for (Picture& picture : pictures) {
      attempt(picture.task, [&] {
        const FrameInfo result = upscaler.result_info(picture.info, options_.upscale);
        check_holds(picture.task.format, picture.task.output, result);
        fitting.push_back(std::move(picture));
      });
    }
    return fitting;
  }

  void make(const std::vector<Picture>& pictures, Upscaler& upscaler) {
    const auto open_next = [&](size_t i) {
      return i < pictures.size() ? std::async(std::launch::async, open, pictures[i].task.input,
                                              std::cref(options_.read))
                                 : std::future<Opened>();
    };
    std::future<Opened> next = open_next(0);
    for (size_t i = 0; i < pictures.size(); ++i) {
      std::future<Opened> present = std::exchange(next, open_next(i + 1));
      const std::string name = pictures[i].task.input.filename().string();
      attempt(pictures[i].task, [&] {
        make(pictures[i], present.get(), upscaler,
             pictures.size() == 1 ? name : fmt::format("{}/{} {}", i + 1, pictures.size(), name));
      });
      while (!pending_.empty() && pending_.front().writer->is_encoded()) finish_oldest();
    }
    while (!pending_.empty()) finish_oldest();
  }

  void make(const Picture& picture, Opened opened, Upscaler& upscaler, const std::string& name) {
    if (stop_.stop_requested()) throw Error(ErrorCode::interrupted, "interrupted");
    const auto& [task, info] = picture;
    const FrameInfo result = upscaler.result_info(info, options_.upscale);
    const size_t bytes = ImageWriter::bytes_needed(task.format, result, kWriteBehind);
    make_room(bytes);
    check_memory(opened.bytes_held + bytes, task);
    if (const std::string_view unread = opened.metadata.unread(); !unread.empty()) {
      report_.notice(fmt::format("{} is not read", unread));
    }
    if (const std::string kinds = opened.metadata.lost_in(task.format); !kinds.empty()) {
      report_.notice(
          fmt::format("{} files are written without {}", traits(task.format).name, kinds));
    }
    if (task.in_folder) make_folder(task);
    report_.begun(task, info, result);

    Stopwatch watch;
    TileCount tiles;
    const ImageTarget target{.path = task.output,
                             .format = task.format,
                             .existing = existing_,
                             .options = options_.encode,
                             .time = task.in_folder ? time_of(task.input) : std::nullopt};
    auto writer = std::make_unique<ImageWriter>(target, result, opened.metadata, kWriteBehind);
    {
      ProgressMeter meter = report_.meter(name);
      const UpscaleEvents events{
          .progress = [&](const Progress& done) { report_.progress(task, done, meter); },
          .planned = [&](const TileGrid& grid) { tell(grid); },
          .notice = [&](const std::string& sentence) { report_.notice(sentence); }};
      tiles = upscaler.run(*opened.rows, opened.constant_alpha, *writer, options_.upscale, events,
                           stop_);
    }
    if (opened.reader->has_clamped()) {
      report_.notice("values beyond 0..1 are clamped, as of pictures with high dynamic range");
    }
    pending_.push_back(
        {task, result, std::move(writer), bytes, tiles, {.upscaling_s = watch.lap()}});
  }

  void tell(const TileGrid& grid) {
    const Size largest = grid.largest();
    report_.detail(fmt::format("tiles   {} x {}, of up to {}x{} pixels", grid.columns(),
                               grid.rows(), largest.width, largest.height));
  }

  /// Waits for encoders until another one that takes so much fits.
  void make_room(size_t bytes) {
    const auto taken = [&] {
      size_t sum = bytes;
      for (const Pending& pending : pending_) sum += pending.bytes;
      return sum;
    };
    const size_t limit = options_.tiles.memory_limit;
    const size_t budget = limit > 0 ? std::min(kWritersBudget, limit / 4) : kWritersBudget;
    while (!pending_.empty() && taken() > budget) finish_oldest();
  }

  void check_memory(size_t needed, const Task& task) const {
    const size_t limit = options_.tiles.memory_limit;
    const size_t available = limit > 0 ? std::min(limit, available_memory()) : available_memory();
    if (needed > available) {
      fail(ErrorCode::memory,
           "{} needs {} MiB of memory to become {}, and {} MiB are there; write a PNG or TIFF, ask "
           "for a smaller size, or close other programs",
           task.input.string(), needed >> 20, task.output.string(), available >> 20);
    }
  }

  void finish_oldest() {
    Pending oldest = std::move(pending_.front());
    pending_.pop_front();
    attempt(oldest.task, [&] {
      Stopwatch watch;
      oldest.writer->finish();
      oldest.times.writing_s = watch.lap();
      ++done_;
      report_.done(oldest.task, oldest.result, oldest.tiles, oldest.times);
    });
  }

  /// Does a part of the work whose failure does not end the rest, unless the user stops it.
  template <typename Work>
  void attempt(const Task& task, Work&& work) {
    try {
      work();
    } catch (...) {
      const Failure failure = failure_of(std::current_exception());
      if (failure.exit_code == int(ErrorCode::interrupted)) throw;
      report_.failed(task, failure);
      ++failed_;
      last_failure_ = failure.exit_code;
    }
  }

  const ImageOptions& options_;
  Existing existing_;
  Report report_;
  std::stop_token stop_;
  std::deque<Pending> pending_;
  int done_ = 0;
  int skipped_ = 0;
  int failed_ = 0;
  int last_failure_ = 0;
};

}  // namespace

int run_image(const ImageOptions& options, std::stop_token stop) {
  return_freed_rows();
  return ImageRun(options, std::move(stop)).run();
}

}  // namespace upres
