// SPDX-License-Identifier: Apache-2.0
#include "upscale/film_input.h"

#include <cmath>
#include <utility>

#include "pixel/deinterlace.h"

namespace upres {

double FilmInput::seconds(int64_t pts) const {
  return double(pts - reader_.info().start) * reader_.info().time_base.value();
}

bool FilmInput::is_inside(const FilmFrame& frame) const {
  // A frame is of a part that begins within half a unit of time of it.
  const double half = reader_.info().time_base.value() / 2;
  return seconds(frame.pts) >= options_.part.start_s - half;
}

std::optional<FilmFrame> FilmInput::next() {
  for (;;) {
    std::optional<FilmFrame> frame = options_.rate.num > 0 ? next_at_rate() : next_in_part();
    if (!frame) return frame;
    if (options_.skip == 0) {
      if (frame->view.format.size != reader_.info().format.size) ++other_sizes_;
      return frame;
    }
    --options_.skip;
  }
}

/// The frame that is shown at each tick, which a film may show longer or shorter.
std::optional<FilmFrame> FilmInput::next_at_rate() {
  if (!held_) {
    held_ = next_in_part();
    if (!held_) return std::nullopt;
    rate_start_ = held_->pts;
    coming_ = next_in_part();
  }
  const double unit = reader_.info().time_base.value();
  const double tick_s = double(ticks_) * options_.rate.den / options_.rate.num;
  const auto at = int64_t(std::llround(tick_s / unit)) + rate_start_;
  const auto length =
      std::max<int64_t>(1, std::llround(double(options_.rate.den) / options_.rate.num / unit));
  while (coming_ && coming_->pts <= at) {
    held_ = std::move(coming_);
    coming_ = next_in_part();
  }
  if (!coming_ && at >= held_->pts + std::max<int64_t>(held_->duration, 1)) return std::nullopt;
  ++ticks_;
  FilmFrame frame = *held_;
  frame.pts = at;
  frame.duration = length;
  return frame;
}

std::optional<FilmFrame> FilmInput::next_in_part() {
  for (;;) {
    std::optional<FilmFrame> frame = next_whole();
    if (!frame) return frame;
    if (options_.part.end_s && seconds(frame->pts) >= *options_.part.end_s) return std::nullopt;
    if (is_inside(*frame)) return frame;
  }
}

std::optional<FilmFrame> FilmInput::next_whole() {
  if (options_.deinterlace == Deinterlace::off) return reader_.read();
  if (!present_ && !ended_) following_ = reader_.read();
  previous_ = std::exchange(present_, std::exchange(following_, std::nullopt));
  if (!present_) return std::nullopt;
  if (!ended_) following_ = reader_.read();
  if (!following_) ended_ = true;
  const FilmFrame& present = *present_;
  if (options_.deinterlace != Deinterlace::on && !present.interlaced) return present_;
  has_deinterlaced_ = true;
  for (std::optional<FilmFrame>* one : {&previous_, &present_, &following_}) {
    if (*one) *one = in_host_memory(**one);
  }
  FilmFrame made = frame_like(present);
  made.interlaced = false;
  const auto neighbour = [&](const std::optional<FilmFrame>& other) {
    return other && other->view.format == present.view.format ? other->view : present.view;
  };
  const bool is_first = !previous_ || previous_->view.format != present.view.format;
  const FrameNeighbours frames{.previous = neighbour(previous_),
                               .present = present.view,
                               .next = neighbour(following_),
                               .is_first = is_first};
  deinterlace(frames, !present.interlaced || present.top_field_first, made.view);
  return made;
}

}  // namespace upres
