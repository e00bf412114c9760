// SPDX-License-Identifier: Apache-2.0
// A value in memory, in either layout of this backend, and the operators that are no convolutions.
//
// Channels are grouped by `lanes`, one vector. oneDNN's kernels want every group by itself,
// [channels/lanes][height][width][lanes] (its nChw8c and nChw16c for one image); our own want a
// pixel's channels side by side, [height][width][channels rounded up to lanes]. Only the strides
// differ. A value may be a range of channels of a wider one, and rows of it may be all that is
// there.
//
// oneDNN's convolutions read the lanes beyond the last channel, with weights of zero, which only
// NaN would not survive: every operator here leaves zeros there.
#pragma once

#include <cstddef>

#include "graph/op.h"

namespace upres::cpu {

struct Blocks {
  float* data = nullptr;  ///< of the first row that is there
  int channels = 0;
  int height = 0;  ///< of the whole value, as its width is
  int width = 0;
  int lanes = 8;
  int first_row = 0;
  int rows = 0;  ///< that are there, first_row and those below
  ptrdiff_t group_stride = 0;
  ptrdiff_t row_stride = 0;
  ptrdiff_t pixel_stride = 0;

  int groups() const { return (channels + lanes - 1) / lanes; }
  int last_row() const { return first_row + rows - 1; }
  /// The lanes of the row's first pixel. `y` counts in the whole value.
  float* row(int group, int y) const {
    return data + group * group_stride + (y - first_row) * row_stride;
  }
};

/// Applies an activation; `in` and `out` may be the same. Slopes: one, or one a channel.
void activate(const Activation& activation, const Blocks& in, const Blocks& out);
/// out += factor * in
void add_scaled(float factor, const Blocks& in, const Blocks& out);
void add(const Blocks& a, const Blocks& b, const Blocks& out);
void scale(float factor, const Blocks& in, const Blocks& out);
/// Copies `in` to the channels of `out` from `first_channel` on.
void copy_channels(const Blocks& in, const Blocks& out, int first_channel);
void upsample(int factor, const Blocks& in, const Blocks& out);
void pixel_shuffle(int factor, const Blocks& in, const Blocks& out);
void pixel_unshuffle(int factor, const Blocks& in, const Blocks& out);
void resize(const Resize& op, const Blocks& in, const Blocks& out);
/// Sets the lanes beyond the last channel to zero.
void clear_tail(const Blocks& out);

}  // namespace upres::cpu
