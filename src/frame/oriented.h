// SPDX-License-Identifier: Apache-2.0
// A picture seen turned or mirrored: the same samples through other strides.
#pragma once

#include <array>

#include "frame/frame_view.h"

namespace upres {

/// One of the eight ways to lay a rectangle down: mirrored, then transposed.
struct Orientation {
  bool mirror_x = false;
  bool mirror_y = false;
  bool transpose = false;
};

constexpr std::array<Orientation, 8> kOrientations = {{{false, false, false},
                                                       {true, false, false},
                                                       {false, true, false},
                                                       {true, true, false},
                                                       {false, false, true},
                                                       {true, false, true},
                                                       {false, true, true},
                                                       {true, true, true}}};

/// The part of a view inside `rect`.
FrameView cropped(const FrameView& view, const Rect& rect);

/// The view in another orientation: strides become negative or change places, no sample is moved.
/// What is written through oriented(a, o) after reading through oriented(b, o) lies in `a` where it
/// was in `b`.
FrameView oriented(const FrameView& view, const Orientation& orientation);

}  // namespace upres
