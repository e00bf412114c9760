// SPDX-License-Identifier: Apache-2.0
// Frames of floats in three channels: what tiles are in until they are joined.
#pragma once

#include <cstring>

#include "frame/frame.h"
#include "pixel/convert.h"

namespace upres {

inline FrameInfo float_info(Size size) {
  return {size, SampleType::f32, 3};
}

inline Activations activations(Frame& frame) {
  const ptrdiff_t row = ptrdiff_t(frame.size().width) * 3;
  return {reinterpret_cast<float*>(frame.data()), 3, 1, row, 3};
}

inline void clear(Frame& frame) {
  std::memset(frame.data(), 0, frame.total_bytes());
}

}  // namespace upres
