// SPDX-License-Identifier: Apache-2.0
// How a picture is cut into tiles: pure geometry.
#pragma once

#include <vector>

#include "tile/rect.h"

namespace upres {

/// Pixels begin <= p < end along one axis.
struct Span {
  int begin = 0;
  int end = 0;
  int length() const { return end - begin; }
  friend bool operator==(const Span&, const Span&) = default;
};

/// Cuts 0..length into spans of at most `side` pixels, all of about one size, neighbours sharing
/// `overlap` pixels (rounded up to `alignment`), begins at multiples of `alignment`. One span when
/// `length` is at most `side`. A `side` that leaves no progress is raised to the overlap plus
/// `alignment`.
std::vector<Span> cut_axis(int length, int side, int overlap, int alignment);

/// What of each span is used when neighbours are cut in the middle of what they share: spans that
/// cover 0..length once, with begins at multiples of `alignment`.
std::vector<Span> kept_spans(const std::vector<Span>& reads, int alignment);

/// One tile, in pixels of the input picture.
struct Tile {
  Rect read;  ///< what the network sees
  Rect keep;  ///< the part of `read` whose result is used
};

/// Tiles over a picture, in rows from the top left. Origins of `read` and `keep` are multiples of
/// the alignment, so that every tile sees the phase of pixels that the whole picture would.
///
///     ├──────────── read 0 ─────────┤
///                         ├──────────── read 1 ─────────┤
///     ├──────── keep 0 ────────┼──────── keep 1 ────────┤
class TileGrid {
 public:
  /// Tiles whose reads are at most `side` and share `overlap` pixels with their neighbours: each
  /// sees overlap/2 around what is kept of it. See cut_axis().
  TileGrid(Size picture, Size side, int overlap, int alignment);

  int columns() const { return int(read_x_.size()); }
  int rows() const { return int(read_y_.size()); }
  Tile tile(int column, int row) const;

  /// The reads of all columns, and of all rows.
  const std::vector<Span>& read_x() const { return read_x_; }
  const std::vector<Span>& read_y() const { return read_y_; }

  /// The largest read.
  Size largest() const;

  /// Pixels of all reads: what the network has to do.
  double pixels_read() const;

 private:
  std::vector<Span> read_x_, read_y_, keep_x_, keep_y_;
};

}  // namespace upres
