// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace upres {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr Seconds kBarInterval(0.1);
constexpr Seconds kLineInterval(10);
constexpr int kUsualColumns = 80;
constexpr int kWidestBar = 40;
constexpr int kNarrowestBar = 10;

/// How far a work is, and how fast, in words.
struct Pace {
  double share;  ///< 0..1; 0 when the total is not known
  std::string text;
};

/// "0:07", "12:30", "1:02:03".
std::string clock_text(double seconds) {
  const auto whole = std::lround(seconds);
  const long hours = whole / 3600;
  const long minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

/// "120 of 1440 frames  23.4 fps  0:56 left  3.1 MB"; the total may not be known, or too small.
Pace pace_of_frames(const Amount& amount, double seconds) {
  const double rate = double(amount.done - amount.before) / seconds;
  const bool known = amount.total >= amount.done;
  std::string text = fmt::format("{}{} frames  {:.1f} fps", amount.done,
                                 known ? fmt::format(" of {}", amount.total) : "", rate);
  if (known)
    text += fmt::format("  {} left", clock_text(double(amount.total - amount.done) / rate));
  if (amount.bytes > 0) text += fmt::format("  {:.1f} MB", double(amount.bytes) / 1e6);
  if (amount.paused) text += "  paused";
  return {known ? double(amount.done) / double(amount.total) : 0, text};
}

/// "12.3 of 67.0 MB  3.10 MB/s  0:12 left"; of pixels only the speed and the time, of parts only
/// the time that they took.
Pace pace_of(const Amount& amount, double seconds, ProgressMeter::Unit unit) {
  if (unit == ProgressMeter::Unit::frames) return pace_of_frames(amount, seconds);
  // Parts are not equally long: no time that is left follows from them.
  if (unit == ProgressMeter::Unit::parts) {
    return {double(amount.done) / double(amount.total), clock_text(seconds) + " so far"};
  }
  const bool bytes = unit == ProgressMeter::Unit::bytes;
  const double rate = double(amount.done - amount.before) / seconds;
  const std::string speed = fmt::format("{:.2f} {}/s", rate / 1e6, bytes ? "MB" : "Mpx");
  if (amount.total <= 0) return {0, fmt::format("{:.1f} MB  {}", double(amount.done) / 1e6, speed)};
  const double left = double(amount.total - amount.done);
  const std::string how_much = bytes
                                   ? fmt::format("{:.1f} of {:.1f} MB  ", double(amount.done) / 1e6,
                                                 double(amount.total) / 1e6)
                                   : "";
  return {double(amount.done) / double(amount.total),
          fmt::format("{}{}  {} left", how_much, speed, clock_text(left / rate))};
}

/// "name  42 % [#####.....]  1.30 Mpx/s  0:12 left", in at most `columns`: the bar shrinks first,
/// then the name goes, then the bar.
std::string bar_text(const std::string& name, const Pace& pace, int columns) {
  std::string percent = fmt::format("{:3} %", int(pace.share * 100));
  const std::string& rest = pace.text;
  const int without_name = columns - int(percent.size() + rest.size()) - 5;  // blanks, brackets
  const int with_name = without_name - int(name.size()) - 2;
  const int room = with_name < kNarrowestBar ? without_name : with_name;
  if (room < kNarrowestBar) return percent;
  const int width = std::min(room, kWidestBar);
  const int filled = int(pace.share * width);
  return fmt::format("{}{}{} [{:#<{}}{:.<{}}]  {}", room == with_name ? name : "",
                     room == with_name ? "  " : "", percent, "", filled, "", width - filled, rest);
}

void put(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace

Console::Console(Verbosity verbosity, bool for_program)
    : verbosity_(verbosity),
      for_program_(for_program),
      has_bar_(verbosity != Verbosity::quiet && isatty(STDERR_FILENO) != 0) {}

void Console::result(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (verbosity_ != Verbosity::quiet && !for_program_) put(stdout, fmt::format("{}\n", line));
}

void Console::notice(std::string_view sentence) {
  const std::lock_guard lock(mutex_);
  draw_alone("");
  if (verbosity_ != Verbosity::quiet) put(stderr, fmt::format("upres: {}\n", sentence));
}

void Console::detail(std::string_view line) {
  const std::lock_guard lock(mutex_);
  draw_alone("");
  if (verbosity_ == Verbosity::verbose) put(stderr, fmt::format("{}\n", line));
}

int Console::columns() const {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kUsualColumns;
}

void Console::draw(std::string_view line) {
  const std::lock_guard lock(mutex_);
  draw_alone(line);
}

void Console::draw_alone(std::string_view line) {
  if (line.empty() && !drawn_) return;
  put(stderr, fmt::format("\r{}\x1b[K", line));  // then to the end of the line: erased
  drawn_ = !line.empty();
}

ProgressMeter::ProgressMeter(Console& console, std::string name, Unit unit)
    : console_(console), name_(std::move(name)), unit_(unit) {}

ProgressMeter::~ProgressMeter() {
  console_.draw("");
}

void ProgressMeter::update(const Amount& amount) {
  const auto now = Clock::now();
  const Seconds elapsed = now - start_;
  if (amount.done <= amount.before || elapsed.count() <= 0) return;
  const Pace pace = pace_of(amount, elapsed.count(), unit_);
  const int tenths = int(pace.share * 10);
  if (console_.has_bar()) {
    if (now - shown_ < kBarInterval) return;
    console_.draw(bar_text(name_, pace, console_.columns() - 1));
  } else {
    if (tenths <= tenths_shown_ || now - shown_ < kLineInterval) return;
    console_.result(fmt::format("{}  {} %  {}", name_, tenths * 10, pace.text));
  }
  tenths_shown_ = tenths;
  shown_ = now;
}

LoadEvents BuildMeter::events(const std::stop_token& stop) {
  return {.notice = [this](const std::string& sentence) { console_.notice(sentence); },
          .progress = [this](double share) { update(share); },
          .stop = stop};
}

void BuildMeter::update(double share) {
  constexpr int64_t kParts = 1000;
  const std::lock_guard lock(mutex_);
  if (share >= 1) return meter_.reset();
  if (!meter_) meter_.emplace(console_, "building", ProgressMeter::Unit::parts);
  meter_->update({.done = int64_t(share * kParts), .total = kParts});
}

}  // namespace upres
