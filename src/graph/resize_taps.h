// SPDX-License-Identifier: Apache-2.0
// What Resize computes: cubic convolution (Keys, 1981) with a = -0.75 between pixel centres at
// i + 1/2, four pixels along each side, those beyond the picture's edges taken from the edge. It is
// ncnn's Interp of type 3 with align_corner 0 (src/layer/interp.cpp: cubic_coeffs), and
// torch.nn.functional.interpolate(mode="bicubic"): no antialiasing.
#pragma once

#include <array>

#include "graph/op.h"

namespace upres {

/// The weights of the input pixels first .. first + 3 in one output pixel, along one side.
struct ResizeTaps {
  int first;
  std::array<float, 4> weights;
};

/// For any output pixel, also beyond the edges. The weights depend on the pixel's phase alone,
/// pixel modulo numerator, so that tiles and whole pictures get the same bytes.
ResizeTaps resize_taps(const Resize& op, int pixel);

}  // namespace upres
