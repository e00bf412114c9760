// SPDX-License-Identifier: Apache-2.0
#include "graph/resize_taps.h"

namespace upres {
namespace {

constexpr float kA = -0.75f;

/// Of a pixel 0..1 from the sample, and of one 1..2 from it.
float near_weight(float distance) {
  return ((kA + 2) * distance - (kA + 3)) * distance * distance + 1;
}
float far_weight(float distance) {
  return kA * (((distance - 5) * distance + 8) * distance - 4);
}

int floor_div(int a, int b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

}  // namespace

ResizeTaps resize_taps(const Resize& op, int pixel) {
  // The sample lies (pixel + 1/2) * denominator / numerator - 1/2 from the first pixel's centre, in
  // steps of 1 / (2 * numerator) so that the rest is exact. A period is `numerator` pixels long.
  const int period = floor_div(pixel, op.numerator);
  const int steps = (2 * (pixel - period * op.numerator) + 1) * op.denominator - op.numerator;
  const int pixel_before = floor_div(steps, 2 * op.numerator);
  const float t = float(steps - pixel_before * 2 * op.numerator) / float(2 * op.numerator);
  return {period * op.denominator + pixel_before - 1,
          {far_weight(1 + t), near_weight(t), near_weight(1 - t), far_weight(2 - t)}};
}

}  // namespace upres
