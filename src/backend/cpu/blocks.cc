// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/blocks.h"

#include <algorithm>
#include <vector>

#include "graph/resize_taps.h"

namespace upres::cpu {
namespace {

/// body(group, y) for every row of every group, shared out to all threads.
template <typename Body>
void for_each_row(const Blocks& blocks, Body&& body) {
  const int groups = blocks.groups();
  const int height = blocks.height;
#pragma omp parallel for collapse(2) schedule(static)
  for (int group = 0; group < groups; ++group) {
    for (int y = 0; y < height; ++y) body(group, y);
  }
}

/// body(y) for 0..height-1, shared out to all threads.
template <typename Body>
void for_each_line(int height, Body&& body) {
#pragma omp parallel for schedule(static)
  for (int y = 0; y < height; ++y) body(y);
}

/// Channel c of the row's first pixel; its other pixels follow `lanes` floats apart.
float* channel_row(const Blocks& blocks, int channel, int y) {
  return blocks.row(channel / blocks.lanes, y) + channel % blocks.lanes;
}

/// Moves values between the pixels of `fine` and the channels of `coarse`, row by row of `coarse`:
/// move(coarse's value, fine's value).
template <typename Move>
void shuffle(int factor, const Blocks& fine, const Blocks& coarse, Move&& move) {
  const int lanes = fine.lanes;
  for_each_line(fine.height, [&](int y) {
    for (int c = 0; c < fine.channels; ++c) {
      for (int dx = 0; dx < factor; ++dx) {
        const int channel = (c * factor + y % factor) * factor + dx;
        float* at_coarse = channel_row(coarse, channel, y / factor);
        float* at_fine = channel_row(fine, c, y) + ptrdiff_t(dx) * lanes;
        for (int x = 0; x < coarse.width; ++x) {
          move(*at_coarse, *at_fine);
          at_coarse += lanes;
          at_fine += ptrdiff_t(factor) * lanes;
        }
      }
    }
  });
}

}  // namespace

void activate(const Activation& activation, const Blocks& in, const Blocks& out) {
  // One slope a channel, zeros for the tail: 0 stays 0.
  const auto& given = activation.slopes;
  std::vector<float> slopes(size_t(in.groups()) * size_t(in.lanes), 0.0f);
  for (int c = 0; c < in.channels; ++c)
    slopes[size_t(c)] = given[given.size() == 1 ? 0 : size_t(c)];
  for_each_row(out, [&](int group, int y) {
    const float* slope = slopes.data() + ptrdiff_t(group) * in.lanes;
    const float* from = in.row(group, y);
    float* to = out.row(group, y);
    for (int x = 0; x < in.width; ++x, from += in.lanes, to += in.lanes) {
      for (int lane = 0; lane < in.lanes; ++lane) {
        to[lane] = std::max(from[lane], 0.0f) + slope[lane] * std::min(from[lane], 0.0f);
      }
    }
  });
}

void add_scaled(float factor, const Blocks& in, const Blocks& out) {
  for_each_row(out, [&](int group, int y) {
    std::transform(in.row(group, y), in.row(group, y) + in.row_floats(), out.row(group, y),
                   out.row(group, y), [&](float value, float sum) { return sum + factor * value; });
  });
}

void add(const Blocks& a, const Blocks& b, const Blocks& out) {
  for_each_row(out, [&](int group, int y) {
    std::transform(a.row(group, y), a.row(group, y) + a.row_floats(), b.row(group, y),
                   out.row(group, y), [](float one, float other) { return one + other; });
  });
}

void scale(float factor, const Blocks& in, const Blocks& out) {
  for_each_row(out, [&](int group, int y) {
    std::transform(in.row(group, y), in.row(group, y) + in.row_floats(), out.row(group, y),
                   [&](float value) { return value * factor; });
  });
}

void copy_channels(const Blocks& in, const Blocks& out, int first_channel) {
  for_each_line(in.height, [&](int y) {
    for (int c = 0; c < in.channels; ++c) {
      const float* from = channel_row(in, c, y);
      float* to = channel_row(out, first_channel + c, y);
      for (int x = 0; x < in.width; ++x, from += in.lanes, to += in.lanes) *to = *from;
    }
  });
}

void upsample(int factor, const Blocks& in, const Blocks& out) {
  for_each_row(out, [&](int group, int y) {
    const float* from = in.row(group, y / factor);
    float* to = out.row(group, y);
    for (int x = 0; x < in.width; ++x, from += in.lanes) {
      for (int i = 0; i < factor; ++i) to = std::copy_n(from, in.lanes, to);
    }
  });
}

void pixel_shuffle(int factor, const Blocks& in, const Blocks& out) {
  clear_tail(out);
  shuffle(factor, out, in, [](float& coarse, float& fine) { fine = coarse; });
}

void pixel_unshuffle(int factor, const Blocks& in, const Blocks& out) {
  clear_tail(out);
  shuffle(factor, in, out, [](float& coarse, float& fine) { coarse = fine; });
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
        const float* from = in.row(group, std::clamp(rows.first + i, 0, in.height - 1));
        for (int j = 0; j < int(taps.weights.size()); ++j) {
          const float* pixel =
              from + ptrdiff_t(std::clamp(taps.first + j, 0, in.width - 1)) * in.lanes;
          const float weight = rows.weights[size_t(i)] * taps.weights[size_t(j)];
          for (int lane = 0; lane < in.lanes; ++lane) to[lane] += weight * pixel[lane];
        }
      }
      to += out.lanes;
    }
  });
}

void clear_tail(const Blocks& out) {
  const int used = out.channels % out.lanes;
  if (used == 0) return;
  for_each_line(out.height, [&](int y) {
    float* pixel = out.row(out.groups() - 1, y);
    for (int x = 0; x < out.width; ++x, pixel += out.lanes) {
      std::fill(pixel + used, pixel + out.lanes, 0.0f);
    }
  });
}

}  // namespace upres::cpu
