// SPDX-License-Identifier: Apache-2.0
#include "pixel/deinterlace.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/error.h"

namespace upres {
namespace {

// In 1/8192. The missing line from its own field alone (intra), or low vertical frequencies from it
// and high ones from the fields around.
constexpr int kIntraNear = 5077;
constexpr int kIntraFar = 981;
constexpr int kLowNear = 4309;
constexpr int kLowFar = 213;
constexpr int kHighHere = 5570;
constexpr int kHighNear = 3801;
constexpr int kHighFar = 1016;
constexpr int kBits = 13;

/// Samples of one component, counted from the one that is made.
template <typename Word>
struct Lines {
  const Word* here;
  ptrdiff_t line;  ///< words to the line below

  int at(int lines) const { return here[lines * line]; }
};

/// One missing sample. `rows_above`, `rows_below`: how many lines there are.
template <typename Word>
int interpolate(const Lines<Word>& before, const Lines<Word>& now, const Lines<Word>& after,
                int rows_above, int rows_below) {
  const int up = rows_above > 0 ? -1 : 1;
  const int down = rows_below > 0 ? 1 : -1;
  const int above = now.at(up);
  const int below = now.at(down);
  // The missing field was shown between the frame before and this one.
  const int between = (before.at(0) + now.at(0)) >> 1;
  const int moved = std::abs(before.at(0) - now.at(0));
  const int moved_before =
      (std::abs(before.at(up) - above) + std::abs(before.at(down) - below)) >> 1;
  const int moved_after = (std::abs(after.at(up) - above) + std::abs(after.at(down) - below)) >> 1;
  int leeway = std::max({moved >> 1, moved_before, moved_after});
  if (leeway == 0) return between;

  const bool has_two = rows_above >= 2 && rows_below >= 2;
  const auto around = [&](int lines) { return before.at(lines) + now.at(lines); };
  if (has_two) {
    const int over = (around(-2) >> 1) - above;
    const int under = (around(2) >> 1) - below;
    const int from_above = between - above;
    const int from_below = between - below;
    const int most = std::max({from_below, from_above, std::min(over, under)});
    const int least = std::min({from_below, from_above, std::max(over, under)});
    leeway = std::max({leeway, least, -most});
  }
  int made = 0;
  if (rows_above < 4 || rows_below < 4) {
    made = (above + below) >> 1;
  } else if (std::abs(above - below) > moved) {
    const int high = (kHighHere * around(0) - kHighNear * (around(-2) + around(2)) +
                      kHighFar * (around(-4) + around(4))) >>
                     2;
    made = (high + kLowNear * (above + below) - kLowFar * (now.at(-3) + now.at(3))) >> kBits;
  } else {
    made = (kIntraNear * (above + below) - kIntraFar * (now.at(-3) + now.at(3))) >> kBits;
  }
  return std::clamp(made, between - leeway, between + leeway);
}

/// One missing sample from its own field.
template <typename Word>
int interpolate_intra(const Lines<Word>& now, int rows_above, int rows_below) {
  const int up = rows_above > 0 ? -1 : 1;
  const int down = rows_below > 0 ? 1 : -1;
  const int far_up = rows_above > 2 ? -3 : down;
  const int far_down = rows_below > 2 ? 3 : up;
  return (kIntraNear * (now.at(up) + now.at(down)) -
          kIntraFar * (now.at(far_up) + now.at(far_down))) >>
         kBits;
}

template <typename Word>
void deinterlace_plane(const FrameNeighbours& frames, size_t c, Size size, int kept, int most,
                       const FilmPlane& dst) {
  const auto lines = [&](const FilmView& view, int y) {
    const FilmPlane& plane = view.planes[c];
    return Lines<Word>{reinterpret_cast<const Word*>(plane.data + y * plane.row_bytes),
                       plane.row_bytes / ptrdiff_t(sizeof(Word))};
  };
  const ptrdiff_t step = dst.step_bytes / ptrdiff_t(sizeof(Word));
  for (int y = 0; y < size.height; ++y) {
    auto* out = reinterpret_cast<Word*>(dst.data + y * dst.row_bytes);
    Lines<Word> now = lines(frames.present, y);
    if (y % 2 == kept || size.height < 2) {
      for (int x = 0; x < size.width; ++x) out[x * step] = now.here[x * step];
      continue;
    }
    Lines<Word> before = lines(frames.previous, y);
    Lines<Word> after = lines(frames.next, y);
    const int below = size.height - 1 - y;
    for (int x = 0; x < size.width; ++x) {
      const int made = frames.is_first ? interpolate_intra(now, y, below)
                                       : interpolate(before, now, after, y, below);
      out[x * step] = Word(std::clamp(made, 0, most));
      before.here += step;
      now.here += step;
      after.here += step;
    }
  }
}

}  // namespace

void deinterlace(const FrameNeighbours& frames, bool top_field_first, const FilmView& dst) {
  const FilmFormat& format = dst.format;
  UPRES_ASSERT(frames.present.format == format && frames.previous.format == format &&
                   frames.next.format == format,
               "a film's frames have one format");
  const int kept = top_field_first ? 0 : 1;  // which of two lines
  const int most = (1 << format.depth) - 1;
  for (int c = 0; c < format.components(); ++c) {
    const FilmPlane& plane = dst.planes[size_t(c)];
    const bool is_alpha = format.alpha && c == format.components() - 1;
    const Size size = is_alpha ? format.size : format.size_of(c);
    if (plane.word_bytes == 1) {
      deinterlace_plane<uint8_t>(frames, size_t(c), size, kept, most, plane);
    } else {
      // Of samples with a shift all the word counts.
      const int whole = most << plane.shift;
      deinterlace_plane<uint16_t>(frames, size_t(c), size, kept, whole, plane);
    }
  }
}

}  // namespace upres
