// SPDX-License-Identifier: Apache-2.0
// What is told of pictures while they are made: sentences and a bar for people, or one JSON object
// a line for programs (docs/events.md).
#pragma once

#include <filesystem>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "failure.h"
#include "frame/frame.h"
#include "progress.h"
#include "task.h"
#include "upscale/film_stream.h"
#include "upscale/upscaler.h"

namespace upres {

/// The network that is about to run.
struct LoadedFacts {
  std::string model;
  std::string architecture;
  int scale = 1;
  int halo = 0;
  std::string device;
  Precision precision = Precision::automatic;
  double seconds = 0;
};

/// How long a picture took: the network with the reading and writing that it waited for, and what
/// was left to write after it.
struct PictureTimes {
  double upscaling_s = 0;
  double writing_s = 0;
};

/// A film that is upscaled.
struct FilmFacts {
  std::string input;
  std::string output;
  FilmInfo film;
  Size result;
  std::string decoder;
  std::string encoder;
  std::string pixel_format;   ///< of the result
  int64_t frames_before = 0;  ///< by an earlier run
};

/// Used by one thread, but for notices and the events of loading.
class Report {
 public:
  Report(Verbosity verbosity, bool json) : console_(verbosity), json_(json) {}

  /// What a device is to tell while it loads networks; it may do so as long as the report lives.
  LoadEvents load_events(const std::stop_token& stop);
  void loaded(const LoadedFacts& facts);
  void begun(const Task& task, const FrameInfo& picture, const FrameInfo& result);
  void skipped(const Task& task);
  void done(const Task& task, const FrameInfo& result, const TileCount& tiles,
            const PictureTimes& times);
  void failed(const Task& task, const Failure& failure);
  /// Something the user should know; only once, when it is said again.
  void notice(const std::string& sentence);
  void detail(const std::string& line) { console_.detail(line); }
  void result(const std::string& line) {
    if (!json_) console_.result(line);
  }
  /// After the last picture; tells people only where there was more than one.
  void ended(int pictures, int done, int skipped, int failed);

  void begun(const FilmFacts& film);
  /// `bytes`: of the output.
  void done(const FilmFacts& film, const FilmCount& count, double seconds, int64_t bytes);
  void progress(const FilmFacts& film, const Amount& frames, ProgressMeter& meter);
  ProgressMeter film_meter(const std::string& name);

  /// Shows how far the picture is that was begun last.
  ProgressMeter meter(const std::string& name);
  void progress(const Task& task, const Progress& progress, ProgressMeter& meter);

 private:
  void building(double share);

  Console console_;
  bool json_;
  std::mutex mutex_;  ///< for what other threads change:
  std::vector<std::string> noticed_;
  int tenths_built_ = 0;
  BuildMeter builds_{console_};
  int tenths_told_ = 0;
};

}  // namespace upres
