// SPDX-License-Identifier: Apache-2.0
// A film's frames, and what is known of a film.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "frame/film_format.h"

struct AVFrame;
struct AVPacket;

namespace upres {

struct Fraction {
  int num = 0;
  int den = 1;
  double value() const { return double(num) / den; }
  friend bool operator==(const Fraction&, const Fraction&) = default;
};

/// What samples mean beyond FilmFormat, by the numbers of ITU-T H.273. Never "unspecified".
struct FilmColour {
  int primaries = 1;
  int transfer = 1;
  int matrix = 1;
  friend bool operator==(const FilmColour&, const FilmColour&) = default;
};

/// A frame; copies share its samples, which are written before it is shared.
struct FilmFrame {
  FilmView view;
  int64_t pts = 0;       ///< when it is shown, in the film's time base
  int64_t duration = 0;  ///< 0: not known
  bool interlaced = false;
  bool top_field_first = true;
  std::shared_ptr<AVFrame> av;  ///< where the samples are, with all else that the film says of them
};

/// An uninitialised frame like another in the host's memory, which has its times and all that is
/// said of it. Error{memory}.
FilmFrame frame_like(const FilmFrame& frame);

/// The same frame in the host's memory: a copy where it is in a GPU's. Error{device}.
FilmFrame in_host_memory(const FilmFrame& frame);

/// A frame's times and all that is said of it, without its samples: what a decoder has few places
/// for goes back to it.
FilmFrame without_samples(const FilmFrame& frame);

/// A film's stream of pictures.
struct FilmInfo {
  FilmFormat format;  ///< of the first frame
  FilmColour colour;
  bool guessed_colour = false;  ///< the film does not say which matrix it has
  std::string pixel_format;     ///< "yuv420p10le", as libav calls it
  std::string codec;            ///< "h264"
  std::string container;        ///< "mov,mp4,m4a,3gp,3g2,mj2"
  Fraction time_base;           ///< of times, in seconds
  Fraction frame_rate;          ///< nominal; 0/1: not known
  Fraction pixel_aspect;        ///< width by height; 0/1: not known, which is 1
  int64_t start = 0;            ///< time of the first frame
  int64_t frames = 0;           ///< as the container has it, or by rate and duration; 0: not known
  double duration_s = 0;        ///< 0: not known
  std::optional<int> plays;     ///< how often an animated picture is shown; 0: for ever
};

}  // namespace upres
