// SPDX-License-Identifier: Apache-2.0
#include "frame/oriented.h"

#include <utility>

#include "base/error.h"

namespace upres {

FrameView cropped(const FrameView& view, const Rect& rect) {
  UPRES_ASSERT(whole(view.size).contains(rect), "a part lies inside its picture");
  FrameView part = view;
  part.size = rect.size();
  for (int i = 0; i < view.components; ++i) {
    Plane& plane = part.planes[size_t(i)];
    plane.data += rect.y * plane.row_bytes + rect.x * plane.step_bytes;
  }
  return part;
}

FrameView oriented(const FrameView& view, const Orientation& orientation) {
  FrameView turned = view;
  for (int i = 0; i < view.components; ++i) {
    Plane& plane = turned.planes[size_t(i)];
    if (orientation.mirror_x) {
      plane.data += (view.size.width - 1) * plane.step_bytes;
      plane.step_bytes = -plane.step_bytes;
    }
    if (orientation.mirror_y) {
      plane.data += (view.size.height - 1) * plane.row_bytes;
      plane.row_bytes = -plane.row_bytes;
    }
    if (orientation.transpose) std::swap(plane.row_bytes, plane.step_bytes);
  }
  if (orientation.transpose) std::swap(turned.size.width, turned.size.height);
  return turned;
}

}  // namespace upres
