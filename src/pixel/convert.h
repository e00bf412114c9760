// SPDX-License-Identifier: Apache-2.0
// From a picture's samples to a network's input, and from its output back: the plain loops that
// every backend's own are held to.
#pragma once

#include <cstddef>

#include "frame/frame_view.h"
#include "tile/rect.h"

namespace upres {

/// A network's float values in host memory. Channel c of pixel (x, y) is at
/// data[c * channel_stride + y * row_stride + x * pixel_stride].
struct Activations {
  float* data = nullptr;
  int channels = 0;
  ptrdiff_t channel_stride = 0;
  ptrdiff_t row_stride = 0;
  ptrdiff_t pixel_stride = 0;

  float* pixel(int x, int y) const { return data + y * row_stride + x * pixel_stride; }
};

/// The BT.601 luma of red, green and blue, each clamped to 0..1 first, as OpenCV's BGR2GRAY does
/// for Real-ESRGAN.
float luma(float red, float green, float blue);

/// Rows first_row..last_row-1 of a network's input: the pixels `read` of `src`, divided by 255 or
/// 65535. Rows and columns beyond `read` mirror it (reflection without the edge pixel repeated).
/// Gray goes to three equal channels; channels of `dst` from 3 on are set to 0.
void gather(const FrameView& src, const Rect& read, const Activations& dst, int width,
            int first_row, int last_row);

/// Rows first_row..last_row-1 of `write`: the three first channels of `src` into `dst`.
/// Integer samples are scaled, rounded half up, then clamped (NaN becomes 0); float samples are
/// stored as they are. A gray `dst` gets the luma.
void store(const Activations& src, const FrameView& dst, const Rect& write, int first_row,
           int last_row);

}  // namespace upres
