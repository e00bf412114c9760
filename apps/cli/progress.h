// SPDX-License-Identifier: Apache-2.0
// What the user is told while something takes its time.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "backend/backend.h"

namespace upres {

enum class Verbosity { quiet, normal, verbose };

/// Where lines go: results to stdout; details, notices and the bar to stderr. Thread-safe.
class Console {
 public:
  /// `for_program`: stdout is for JSON, and takes no results.
  explicit Console(Verbosity verbosity, bool for_program = false);

  /// A result; nothing when quiet.
  void result(std::string_view line);
  /// Something the user should know; nothing when quiet.
  void notice(std::string_view sentence);
  /// Only when verbose.
  void detail(std::string_view line);

  /// Whether there is a terminal to draw a bar on, and columns for it.
  bool has_bar() const { return has_bar_; }
  int columns() const;
  /// Draws over the line that was drawn before; an empty one removes it.
  void draw(std::string_view line);

 private:
  void draw_alone(std::string_view line);

  Verbosity verbosity_;
  bool for_program_;
  bool has_bar_;
  std::mutex mutex_;
  bool drawn_ = false;
};

/// How much of a work is done, in pixels, bytes or frames, or in parts of it.
struct Amount {
  int64_t done = 0;
  int64_t total = 0;   ///< 0 when not known
  int64_t before = 0;  ///< of those done: by an earlier run, which says nothing of the speed
  int64_t bytes = 0;   ///< that the result takes so far, where frames are counted
  bool paused = false;
};

/// Shows how far one work is: a bar on a terminal, elsewhere a line for every tenth, and those
/// at most every ten seconds. Removes the bar when it goes.
class ProgressMeter {
 public:
  enum class Unit { pixels, bytes, frames, parts };

  ProgressMeter(Console& console, std::string name, Unit unit);
  ProgressMeter(const ProgressMeter&) = delete;
  ProgressMeter& operator=(const ProgressMeter&) = delete;
  ~ProgressMeter();

  void update(const Amount& amount);

 private:
  using Clock = std::chrono::steady_clock;

  Console& console_;
  std::string name_;
  Unit unit_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = start_;
  int tenths_shown_ = 0;
};

/// Shows how far engines are that a device builds while a model is loaded. Thread-safe: builds tell
/// from threads of their own.
class BuildMeter {
 public:
  explicit BuildMeter(Console& console) : console_(console) {}

  /// `share` is what is done, up to 1, with which the build ends.
  void update(double share);

  /// What Device::load() tells, told here and on the console; as long as both live.
  LoadEvents events(const std::stop_token& stop);

 private:
  Console& console_;
  std::mutex mutex_;
  std::optional<ProgressMeter> meter_;  ///< of the present build
};

}  // namespace upres
