// SPDX-License-Identifier: Apache-2.0
// The frames of a film that are upscaled: those of a part, without interlacing, at another rate.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "media/film_muxer.h"
#include "media/film_reader.h"

namespace upres {

enum class Deinterlace { automatic, on, off };

struct FilmInputOptions {
  FilmPart part;
  Deinterlace deinterlace = Deinterlace::automatic;  ///< automatic: what says that it is interlaced
  Fraction rate = {0, 1};                            ///< frames a second; 0/1: as they come
  int64_t skip = 0;  ///< frames at the beginning of what next() would give: an earlier run did them
};

/// Gives frames in order. Used by one thread; the reader outlives it.
class FilmInput {
 public:
  FilmInput(FilmReader& reader, const FilmInputOptions& options)
      : reader_(reader), options_(options) {}

  std::optional<FilmFrame> next();
  /// Whether interlaced frames were made whole so far.
  bool has_deinterlaced() const { return has_deinterlaced_; }
  /// Frames so far of another size than the film's first.
  int64_t other_sizes() const { return other_sizes_; }

 private:
  std::optional<FilmFrame> next_at_rate();
  std::optional<FilmFrame> next_in_part();
  std::optional<FilmFrame> next_whole();
  bool is_inside(const FilmFrame& frame) const;
  /// Seconds from the film's first frame.
  double seconds(int64_t pts) const;

  FilmReader& reader_;
  FilmInputOptions options_;
  bool has_deinterlaced_ = false;
  int64_t other_sizes_ = 0;
  bool ended_ = false;
  std::optional<FilmFrame> previous_, present_, following_;  ///< as read, for deinterlacing
  std::optional<FilmFrame> held_, coming_;                   ///< for another rate
  int64_t ticks_ = 0;                                        ///< frames given at that rate
  int64_t rate_start_ = 0;
};

}  // namespace upres
