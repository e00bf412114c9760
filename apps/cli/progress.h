// SPDX-License-Identifier: Apache-2.0
// What the user is told while something takes its time.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace upres {

enum class Verbosity { quiet, normal, verbose };

/// Where lines go: results to stdout; details, notices and the bar to stderr. Used by one thread.
class Console {
 public:
  explicit Console(Verbosity verbosity);

  /// A result; nothing when quiet.
  void result(std::string_view line) const;
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
  Verbosity verbosity_;
  bool has_bar_;
  bool drawn_ = false;
};

/// How much of a work is done, in pixels, bytes or frames.
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
  enum class Unit { pixels, bytes, frames };

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

}  // namespace upres
