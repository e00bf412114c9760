// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/blocks.h"

#include <algorithm>
#include <vector>

#include "graph/resize_taps.h"

namespace upres::cpu {
namespace {

/// body(group, y) for every row of every group that is there, shared out to all threads.
template <typename Body>
void for_each_row(const Blocks& blocks, Body&& body) {
  const int groups = blocks.groups();
#pragma omp parallel for collapse(2) schedule(static)
  for (int group = 0; group < groups; ++group) {
    for (int y = blocks.first_row; y <= blocks.last_row(); ++y) body(group, y);
  }
}

/// body(y) for every row that is there, shared out to all threads.
template <typename Body>
void for_each_line(const Blocks& blocks, Body&& body) {
#pragma omp parallel for schedule(static)
  for (int y = blocks.first_row; y <= blocks.last_row(); ++y) body(y);
}

/// body(to, group, y, x) for every vector of `out`, which is at `to`.
template <typename Body>
void for_each_vector(const Blocks& out, Body&& body) {
  for_each_row(out, [&](int group, int y) {
    float* to = out.row(group, y);
    for (int x = 0; x < out.width; ++x, to += out.pixel_stride) body(to, group, y, x);
  });
}

const float* vector_at(const Blocks& in, int group, int y, int x) {
  return in.row(group, y) + x * in.pixel_stride;
}

/// Channel c of the row's first pixel; its other pixels follow `pixel_stride` floats apart.
float* channel_row(const Blocks& blocks, int channel, int y) {
  return blocks.row(channel / blocks.lanes, y) + channel % blocks.lanes;
}

/// Moves values between the pixels of `fine` and the channels of `coarse`, for one row of `fine`:
/// move(coarse's value, fine's value).
template <typename Move>
void shuffle_row(int factor, const Blocks& fine, const Blocks& coarse, int y, Move&& move) {
  for (int c = 0; c < fine.channels; ++c) {
    for (int dx = 0; dx < factor; ++dx) {
      const int channel = (c * factor + y % factor) * factor + dx;
      float* at_coarse = channel_row(coarse, channel, y / factor);
      float* at_fine = channel_row(fine, c, y) + dx * fine.pixel_stride;
      for (int x = 0; x < coarse.width; ++x) {
        move(*at_coarse, *at_fine);
        at_coarse += coarse.pixel_stride;
        at_fine += factor * fine.pixel_stride;
      }
    }
  }
}

}  // namespace

void activate(const Activation& activation, const Blocks& in, const Blocks& out) {
  // One slope a channel, zeros for the tail: 0 stays 0.
  const auto& given = activation.slopes;
  std::vector<float> slopes(size_t(in.groups()) * size_t(in.lanes), 0.0f);
  for (int c = 0; c < in.channels; ++c)
    slopes[size_t(c)] = given[given.size() == 1 ? 0 : size_t(c)];
  for_each_vector(out, [&](float* to, int group, int y, int x) {
    const float* slope = slopes.data() + ptrdiff_t(group) * in.lanes;
    const float* from = vector_at(in, group, y, x);
    for (int lane = 0; lane < in.lanes; ++lane) {
      to[lane] = std::max(from[lane], 0.0f) + slope[lane] * std::min(from[lane], 0.0f);
    }
  });
}

void add_scaled(float factor, const Blocks& in, const Blocks& out) {
  for_each_vector(out, [&](float* to, int group, int y, int x) {
    const float* from = vector_at(in, group, y, x);
    for (int lane = 0; lane < out.lanes; ++lane) to[lane] += factor * from[lane];
  });
}

void add(const Blocks& a, const Blocks& b, const Blocks& out) {
  for_each_vector(out, [&](float* to, int group, int y, int x) {
    const float* one = vector_at(a, group, y, x);
    const float* other = vector_at(b, group, y, x);
    for (int lane = 0; lane < out.lanes; ++lane) to[lane] = one[lane] + other[lane];
  });
}

void scale(float factor, const Blocks& in, const Blocks& out) {
  for_each_vector(out, [&](float* to, int group, int y, int x) {
    const float* from = vector_at(in, group, y, x);
    for (int lane = 0; lane < out.lanes; ++lane) to[lane] = factor * from[lane];
  });
}

void copy_channels(const Blocks& in, const Blocks& out, int first_channel) {
  for_each_line(out, [&](int y) {
    for (int c = 0; c < in.channels; ++c) {
      const float* from = channel_row(in, c, y);
      float* to = channel_row(out, first_channel + c, y);
      for (int x = 0; x < in.width; ++x, from += in.pixel_stride, to += out.pixel_stride) {
        *to = *from;
      }
    }
  });
}

void upsample(int factor, const Blocks& in, const Blocks& out) {
  for_each_vector(out, [&](float* to, int group, int y, int x) {
    std::copy_n(vector_at(in, group, y / factor, x / factor), in.lanes, to);
  });
}

void pixel_shuffle(int factor, const Blocks& in, const Blocks& out) {
  clear_tail(out);
  for_each_line(out, [&](int y) {
    shuffle_row(factor, out, in, y, [](float& coarse, float& fine) { fine = coarse; });
  });
}

void pixel_unshuffle(int factor, const Blocks& in, const Blocks& out) {
  clear_tail(out);
  for_each_line(out, [&](int y) {
    for (int dy = 0; dy < factor; ++dy) {
      shuffle_row(factor, in, out, y * factor + dy,
                  [](float& coarse, float& fine) { coarse = fine; });
    }
  });
}

void resize(const Resize& op, const Blocks& in, const Blocks& out) {
  std::vector<ResizeTaps> columns;
  for (int x = 0; x < out.width; ++x) columns.push_back(resize_taps(op, x));
  for_each_row(out, [&](int group, int y) {
    const ResizeTaps rows = resize_taps(op, y);
    float* to = out.row(group, y);
    for (const ResizeTaps& taps : columns) {
      std::fill_n(to, out.lanes, 0.0f);
      for (int i = 0; i < int(rows.weights.size()); ++i) {
        const int row = std::clamp(rows.first + i, 0, in.height - 1);
        for (int j = 0; j < int(taps.weights.size()); ++j) {
          const float* pixel =
              vector_at(in, group, row, std::clamp(taps.first + j, 0, in.width - 1));
          const float weight = rows.weights[size_t(i)] * taps.weights[size_t(j)];
          for (int lane = 0; lane < in.lanes; ++lane) to[lane] += weight * pixel[lane];
        }
      }
      to += out.pixel_stride;
    }
  });
}

void clear_tail(const Blocks& out) {
  const int used = out.channels % out.lanes;
  if (used == 0) return;
  for_each_line(out, [&](int y) {
    float* pixel = out.row(out.groups() - 1, y);
    for (int x = 0; x < out.width; ++x, pixel += out.pixel_stride) {
      std::fill(pixel + used, pixel + out.lanes, 0.0f);
    }
  });
}

}  // namespace upres::cpu
