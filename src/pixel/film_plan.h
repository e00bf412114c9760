// SPDX-License-Identifier: Apache-2.0
// The numbers by which a film's samples become R'G'B' and come back: made once from what the frames
// say of themselves; every loop over pixels, here and on a GPU, follows them.
#pragma once

#include <vector>

#include "frame/film_format.h"

namespace upres {

/// The one picture format between film and network: 16 bit, 0..65535.
constexpr float kFilmOne = 65535.0f;

/// Of one axis of subsampled chroma: `phases` luma samples share a chroma sample.
///
/// The kernel is the triangle as wide as two chroma samples, centred where the siting says, so that
/// enlarging interpolates linearly. Beyond the edges samples are mirrored, edge samples repeated.
struct ChromaTaps {
  int phases = 1;
  /// up[3 * p + k]: the weight of chroma sample i - 1 + k for luma sample phases * i + p.
  std::vector<float> up;
  /// down[k]: the weight of luma sample phases * i + down_first + k for chroma sample i.
  int down_first = 0;
  std::vector<float> down;
};

/// With Y, U, V as stored, and red, green, blue from 0 to 65535:
///
///     y = luma_scale * (Y - luma_zero)    u, v = chroma_scale * (U, V - chroma_zero)
///     red = y + red_v * v    green = y + green_u * u + green_v * v    blue = y + blue_u * u
///
/// and back: Y = luma_zero + to_y . (red, green, blue), U, V = chroma_zero + to_u, to_v . the same.
/// Of RGB and gray `luma_*` are for all components. Results are rounded half up, then clamped to
/// what the depth holds.
struct FilmPlan {
  explicit FilmPlan(const FilmFormat& format);

  FilmFormat format;
  float luma_zero = 0;
  float luma_scale = 1;
  float chroma_zero = 0;
  float chroma_scale = 1;
  float alpha_scale = 1;
  float red_v = 0;
  float green_u = 0;
  float green_v = 0;
  float blue_u = 0;
  float to_y[3] = {};
  float to_u[3] = {};
  float to_v[3] = {};
  ChromaTaps across;
  ChromaTaps down;
};

}  // namespace upres
