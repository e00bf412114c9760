// SPDX-License-Identifier: Apache-2.0
// Rows of films and pictures by the vectors of the processor at hand. Each function makes as many
// samples from a row's beginning as whole vectors hold, and returns how many these are: the loops
// of film.cc make the rest, by the same sums in the same order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pixel/film_plan.h"

namespace upres::film_rows {

/// Samples side by side, of one byte or of two, as this machine has them.
template <typename Byte>
struct Samples {
  Byte* data;
  int word_bytes;
};
using Stored = Samples<const std::byte>;
using Storing = Samples<std::byte>;

/// Lines, and how much each counts.
struct Taps {
  const float* const* lines;
  const float* weights;
  int count;
};

/// dst = (weights[0] * rows[0] + weights[1] * rows[1] - zero) * scale, of rows of the same word.
int load(const Stored rows[2], const float weights[2], float zero, float scale, float* dst,
         int count);

/// dst = the weighted sum.
int mix(const Taps& taps, float* dst, int count);

/// dst = the weighted sum + zero, rounded half up, then clamped to 0..most.
int store(const Taps& taps, float zero, float most, Storing dst, int count);

/// Packed RGB of luma as it is stored and of lines of scaled chroma, which have a sample before
/// them and one behind. Of up to two luma samples for a chroma sample across.
int rgb_from_yuv(const FilmPlan& plan, Stored luma, const float* u, const float* v, uint16_t* rgb,
                 int width);

/// Luma as it is stored, and U and V before their zeros are added: of each as many lines as
/// plan.across has phases, which take turns. Of up to two of them.
int yuv_from_rgb(const FilmPlan& plan, const uint16_t* rgb, Storing luma, float* const u[],
                 float* const v[], int width);

}  // namespace upres::film_rows
