// SPDX-License-Identifier: Apache-2.0
#include "tile/grid.h"

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace upres {
namespace {

int round_up(int value, int multiple) {
  return (value + multiple - 1) / multiple * multiple;
}
int round_down(int value, int multiple) {
  return value / multiple * multiple;
}

Rect rect(Span x, Span y) {
  return {x.begin, y.begin, x.length(), y.length()};
}

int longest(const std::vector<Span>& spans) {
  int length = 0;
  for (const Span span : spans) length = std::max(length, span.length());
  return length;
}

int64_t total(const std::vector<Span>& spans) {
  int64_t length = 0;
  for (const Span span : spans) length += span.length();
  return length;
}

}  // namespace

std::vector<Span> cut_axis(int length, int side, int overlap, int alignment) {
  UPRES_ASSERT(length > 0 && side > 0 && overlap >= 0 && alignment > 0, "sizes are positive");
  if (length <= side) return {{0, length}};
  const int shared = round_up(overlap, alignment);
  const int widest = std::max(round_down(side, alignment), shared + alignment);
  const auto spans_of = [&](int step) { return std::max(1, (length - shared + step - 1) / step); };
  // The fewest spans that reach the end, then a step that makes them about equal.
  const int count = spans_of(widest - shared);
  const int step = round_up((length - shared + count - 1) / count, alignment);
  std::vector<Span> spans;
  for (int begin = 0;; begin += step) {
    const int end = std::min(begin + step + shared, length);
    spans.push_back({begin, end});
    if (end == length) return spans;
  }
}

std::vector<Span> kept_spans(const std::vector<Span>& reads, int alignment) {
  std::vector<Span> kept = reads;
  for (size_t i = 0; i + 1 < kept.size(); ++i) {
    const int seam = round_down((reads[i].end + reads[i + 1].begin) / 2, alignment);
    kept[i].end = kept[i + 1].begin = seam;
  }
  return kept;
}

TileGrid::TileGrid(Size picture, Size side, int overlap, int alignment)
    : read_x_(cut_axis(picture.width, side.width, overlap, alignment)),
      read_y_(cut_axis(picture.height, side.height, overlap, alignment)),
      keep_x_(kept_spans(read_x_, alignment)),
      keep_y_(kept_spans(read_y_, alignment)) {}

Tile TileGrid::tile(int column, int row) const {
  const auto x = size_t(column);
  const auto y = size_t(row);
  return {rect(read_x_[x], read_y_[y]), rect(keep_x_[x], keep_y_[y])};
}

Size TileGrid::largest() const {
  return {longest(read_x_), longest(read_y_)};
}

double TileGrid::pixels_read() const {
  return double(total(read_x_)) * double(total(read_y_));
}

}  // namespace upres
