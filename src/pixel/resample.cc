// SPDX-License-Identifier: Apache-2.0
#include "pixel/resample.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <numbers>

#include "base/error.h"
#include "pixel/sample.h"

namespace upres {
namespace {

constexpr double kLobes = 3;

double sinc(double x) {
  const double px = std::numbers::pi * x;
  return x == 0 ? 1 : std::sin(px) / px;
}

double lanczos(double x) {
  return std::abs(x) < kLobes ? sinc(x) * sinc(x / kLobes) : 0;
}

using Row = std::vector<float>;

/// Row y as floats, colours multiplied by alpha where there is one.
Row read_row(const Frame& frame, int y) {
  const auto channels = size_t(frame.channels());
  Row row(size_t(frame.size().width) * channels);
  with_sample_type(frame.type(), [&](auto sample) {
    using Sample = decltype(sample);
    const auto* in = reinterpret_cast<const Sample*>(frame.data() + size_t(y) * frame.row_bytes());
    for (size_t i = 0; i < row.size(); ++i) row[i] = from_sample(in[i]);
  });
  if (!frame.has_alpha()) return row;
  for (size_t i = 0; i < row.size(); i += channels) {
    for (size_t c = 0; c + 1 < channels; ++c) row[i + c] *= row[i + channels - 1];
  }
  return row;
}

/// The inverse of read_row(). `row` is used up.
void write_row(Row& row, Frame& frame, int y) {
  const auto channels = size_t(frame.channels());
  if (frame.has_alpha()) {
    for (size_t i = 0; i < row.size(); i += channels) {
      const float alpha = row[i + channels - 1];
      for (size_t c = 0; c + 1 < channels; ++c) row[i + c] = alpha > 0 ? row[i + c] / alpha : 0;
    }
  }
  with_sample_type(frame.type(), [&](auto sample) {
    using Sample = decltype(sample);
    auto* out = reinterpret_cast<Sample*>(frame.data() + size_t(y) * frame.row_bytes());
    for (size_t i = 0; i < row.size(); ++i) out[i] = to_sample<Sample>(row[i]);
  });
}

Row filter_along(const Row& in, const std::vector<ResampleTaps>& taps, size_t channels) {
  Row out(taps.size() * channels, 0.0f);
  for (size_t x = 0; x < taps.size(); ++x) {
    const float* from = in.data() + size_t(taps[x].first) * channels;
    for (const float weight : taps[x].weights) {
      for (size_t c = 0; c < channels; ++c) out[x * channels + c] += weight * *from++;
    }
  }
  return out;
}

}  // namespace

std::vector<ResampleTaps> lanczos_taps(int from, int to) {
  UPRES_ASSERT(from > 0 && to > 0, "lines have pixels");
  const double ratio = double(from) / to;
  const double stretch = std::max(ratio, 1.0);
  std::vector<ResampleTaps> all(static_cast<size_t>(to));
  for (int i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * ratio - 0.5;
    const int first = std::max(0, int(std::ceil(centre - kLobes * stretch)));
    const int last = std::min(from - 1, int(std::floor(centre + kLobes * stretch)));
    std::vector<double> weights;
    double sum = 0;
    for (int j = first; j <= last; ++j) {
      weights.push_back(lanczos((j - centre) / stretch));
      sum += weights.back();
    }
    ResampleTaps& taps = all[size_t(i)];
    taps.first = first;
    for (const double weight : weights) taps.weights.push_back(float(weight / sum));
  }
  return all;
}

void resample(const Frame& src, Frame& dst) {
  UPRES_ASSERT(src.channels() == dst.channels(), "resampling changes no channels");
  const auto channels = size_t(src.channels());
  const auto across = lanczos_taps(src.size().width, dst.size().width);
  const auto down = lanczos_taps(src.size().height, dst.size().height);
  // Rows of the source, already resampled across, that the rows of the result still need.
  std::deque<Row> window;
  int window_first = 0;
  for (int y = 0; y < dst.size().height; ++y) {
    const ResampleTaps& taps = down[size_t(y)];
    for (; window_first < taps.first; ++window_first) {
      if (!window.empty()) window.pop_front();
    }
    while (window.size() < taps.weights.size()) {
      const int row = window_first + int(window.size());
      window.push_back(filter_along(read_row(src, row), across, channels));
    }
    Row sum(across.size() * channels, 0.0f);
    for (size_t i = 0; i < taps.weights.size(); ++i) {
      for (size_t x = 0; x < sum.size(); ++x) sum[x] += taps.weights[i] * window[i][x];
    }
    write_row(sum, dst, y);
  }
}

}  // namespace upres
