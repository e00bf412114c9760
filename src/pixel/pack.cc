// SPDX-License-Identifier: Apache-2.0
#include "pixel/pack.h"

#include <cstring>
#include <type_traits>

namespace upres {
namespace {

/// `Byte` is const where the view is written to.
template <typename Byte>
void copy_rectangle(const FrameView& view, const Rect& rect, Byte* packed) {
  constexpr bool kToPacked = !std::is_const_v<Byte>;
  const auto copy = [](std::byte* at, Byte* in_packed, ptrdiff_t size) {
    if constexpr (kToPacked) {
      std::memcpy(in_packed, at, size_t(size));
    } else {
      std::memcpy(at, in_packed, size_t(size));
    }
  };
  const auto sample = ptrdiff_t(size_bytes(view.type));
  const ptrdiff_t pixel = sample * view.components;
  const ptrdiff_t packed_row = pixel * rect.width;
  bool dense = view.planes[0].step_bytes == pixel;
  for (int c = 1; c < view.components; ++c) {
    const Plane& plane = view.planes[size_t(c)];
    dense = dense && plane.step_bytes == pixel && plane.row_bytes == view.planes[0].row_bytes &&
            plane.data == view.planes[0].data + c * sample;
  }
  for (int y = 0; y < rect.height; ++y) {
    Byte* row = packed + y * packed_row;
    for (int c = 0; c < (dense ? 1 : view.components); ++c) {
      const Plane& plane = view.planes[size_t(c)];
      std::byte* at = plane.data + (rect.y + y) * plane.row_bytes + rect.x * plane.step_bytes;
      if (dense) {
        copy(at, row, packed_row);
        continue;
      }
      Byte* one = row + c * sample;
      for (int x = 0; x < rect.width; ++x, at += plane.step_bytes, one += pixel) {
        copy(at, one, sample);
      }
    }
  }
}

}  // namespace

void pack(const FrameView& src, const Rect& rect, std::byte* packed) {
  copy_rectangle(src, rect, packed);
}

void unpack(const std::byte* packed, const FrameView& dst, const Rect& rect) {
  copy_rectangle(dst, rect, packed);
}

}  // namespace upres
