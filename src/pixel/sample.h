// SPDX-License-Identifier: Apache-2.0
// Between stored samples and floats, one at a time: for the loops in pixel/.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "frame/frame_view.h"

namespace upres {

/// The stored value that stands for 1: 255, 65535 or 1.
template <typename Sample>
constexpr float kOne =
    std::is_floating_point_v<Sample> ? 1.0f : float(std::numeric_limits<Sample>::max());

template <typename Sample>
float from_sample(Sample sample) {
  return float(sample) / kOne<Sample>;
}

/// Integers are rounded half up, then clamped, and a NaN becomes 0; floats stay as they are.
template <typename Sample>
Sample to_sample(float value) {
  if constexpr (std::is_floating_point_v<Sample>) {
    return value;
  } else {
    const float rounded = std::floor(value * kOne<Sample> + 0.5f);
    return rounded > 0 ? Sample(std::min(rounded, kOne<Sample>)) : Sample(0);
  }
}

/// Calls `body` with a zero of the sample's C++ type.
template <typename Body>
constexpr void with_sample_type(SampleType type, Body&& body) {
  switch (type) {
    case SampleType::u8:
      return body(uint8_t{});
    case SampleType::u16:
      return body(uint16_t{});
    case SampleType::f32:
      return body(float{});
  }
}

}  // namespace upres
