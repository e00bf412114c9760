// SPDX-License-Identifier: Apache-2.0
// Sizes, points and rectangles in pixels.
#pragma once

namespace upres {

struct Size {
  int width = 0;
  int height = 0;
  friend bool operator==(const Size&, const Size&) = default;
  friend auto operator<=>(const Size&, const Size&) = default;
};

struct Point {
  int x = 0;
  int y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

/// The pixels x <= px < x + width, y <= py < y + height.
struct Rect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;

  int right() const { return x + width; }
  int bottom() const { return y + height; }
  Size size() const { return {width, height}; }
  bool contains(const Rect& inner) const {
    return inner.x >= x && inner.y >= y && inner.right() <= right() && inner.bottom() <= bottom();
  }
  friend bool operator==(const Rect&, const Rect&) = default;
};

/// The rectangle of a whole picture.
inline Rect whole(Size size) {
  return {0, 0, size.width, size.height};
}

/// `rect` with every coordinate multiplied by `factor`.
inline Rect scaled(const Rect& rect, int factor) {
  return {rect.x * factor, rect.y * factor, rect.width * factor, rect.height * factor};
}

}  // namespace upres
