// SPDX-License-Identifier: Apache-2.0
// The blocked layout, and the operators that oneDNN does not run for us.
//
// Channels are grouped by `lanes` (8 or 16, one vector): [channels/lanes][height][width][lanes],
// oneDNN's nChw8c and nChw16c for one image. A last group that is not full holds zeros, and every
// operator here keeps it so: the convolutions read it with weights of zero, which only NaN would
// not survive.
#pragma once

#include <cstddef>

#include "graph/op.h"

namespace upres::cpu {

struct Blocks {
  float* data = nullptr;
  int channels = 0;
  int height = 0;
  int width = 0;
  int lanes = 8;

  int groups() const { return (channels + lanes - 1) / lanes; }
  ptrdiff_t row_floats() const { return ptrdiff_t(width) * lanes; }
  ptrdiff_t group_floats() const { return height * row_floats(); }
  size_t total_floats() const { return size_t(groups()) * size_t(group_floats()); }
  float* row(int group, int y) const { return data + group * group_floats() + y * row_floats(); }
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
