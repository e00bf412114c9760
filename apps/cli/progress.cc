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

/// How far one picture is, and how fast.
struct Pace {
  double share;         ///< 0..1
  double megapixels_s;  ///< of the result
  double seconds_left;
};

/// "0:07", "12:30", "1:02:03".
std::string clock_text(double seconds) {
  const auto whole = std::lround(seconds);
  const long hours = whole / 3600;
  const long minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string pace_text(const Pace& pace) {
  return fmt::format("{:.2f} Mpx/s  {} left", pace.megapixels_s, clock_text(pace.seconds_left));
}

/// "name  42 % [#####.....]  1.30 Mpx/s  0:12 left", in at most `columns`: the bar shrinks first,
/// then the name goes, then the bar.
std::string bar_text(const std::string& name, const Pace& pace, int columns) {
  std::string percent = fmt::format("{:3} %", int(pace.share * 100));
  const std::string rest = pace_text(pace);
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

Console::Console(Verbosity verbosity)
    : verbosity_(verbosity),
      has_bar_(verbosity != Verbosity::quiet && isatty(STDERR_FILENO) != 0) {}

void Console::result(std::string_view line) const {
  if (verbosity_ != Verbosity::quiet) put(stdout, fmt::format("{}\n", line));
}

void Console::notice(std::string_view sentence) {
  draw("");
  if (verbosity_ != Verbosity::quiet) put(stderr, fmt::format("upres: {}\n", sentence));
}

void Console::detail(std::string_view line) {
  draw("");
  if (verbosity_ == Verbosity::verbose) put(stderr, fmt::format("{}\n", line));
}

int Console::columns() const {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kUsualColumns;
}

void Console::draw(std::string_view line) {
  if (line.empty() && !drawn_) return;
  put(stderr, fmt::format("\r{}\x1b[K", line));  // then to the end of the line: erased
  drawn_ = !line.empty();
}

ProgressMeter::ProgressMeter(Console& console, std::string name)
    : console_(console), name_(std::move(name)) {}

ProgressMeter::~ProgressMeter() {
  console_.draw("");
}

void ProgressMeter::update(const Progress& progress) {
  const auto now = Clock::now();
  const Seconds elapsed = now - start_;
  if (progress.pixels_done <= 0 || elapsed.count() <= 0) return;
  const double rate = double(progress.pixels_done) / elapsed.count();
  const Pace pace{double(progress.pixels_done) / double(progress.pixels_total), rate / 1e6,
                  double(progress.pixels_total - progress.pixels_done) / rate};
  const int tenths = int(pace.share * 10);
  if (console_.has_bar()) {
    if (now - shown_ < kBarInterval) return;
    console_.draw(bar_text(name_, pace, console_.columns() - 1));
  } else {
    if (tenths <= tenths_shown_ || now - shown_ < kLineInterval) return;
    console_.result(fmt::format("{}  {} %  {}", name_, tenths * 10, pace_text(pace)));
  }
  tenths_shown_ = tenths;
  shown_ = now;
}

}  // namespace upres
