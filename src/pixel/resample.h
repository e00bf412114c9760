// SPDX-License-Identifier: Apache-2.0
// Resizing by a separable Lanczos filter.
#pragma once

#include <vector>

#include "frame/frame.h"

namespace upres {

/// The filter of one output sample: weights for the input samples first, first + 1, …; they add up
/// to 1.
struct ResampleTaps {
  int first = 0;
  std::vector<float> weights;
};

/// The taps of every output sample for a line of `from` samples made into `to`: Lanczos with three
/// lobes, pixel centres at i + 1/2, the kernel stretched by from/to when the line gets shorter so
/// that nothing aliases. Taps beyond the ends are left out and the rest made to add up to 1.
std::vector<ResampleTaps> lanczos_taps(int from, int to);

/// Resamples `src` into `dst`, which has the same channels and any size; samples are rounded half
/// up, then clamped. Where there is alpha, colours count by it, so that what hides under
/// transparent pixels does not bleed into visible ones.
void resample(const Frame& src, Frame& dst);

}  // namespace upres
