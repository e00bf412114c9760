// SPDX-License-Identifier: Apache-2.0
// Between pictures of any layout and packed ones, as they travel to a GPU and back.
#pragma once

#include <cstddef>

#include "frame/frame_view.h"
#include "tile/rect.h"

namespace upres {

/// Copies a rectangle of a view into memory without gaps: component c of its pixel (x, y) becomes
/// the sample number (y * rect.width + x) * components + c.
void pack(const FrameView& src, const Rect& rect, std::byte* packed);

/// The other way.
void unpack(const std::byte* packed, const FrameView& dst, const Rect& rect);

}  // namespace upres
