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

Resampler::Resampler(const FrameInfo& from, const FrameInfo& to, RowSink& next)
    : to_(to),
      next_(next),
      across_(lanczos_taps(from.size.width, to.size.width)),
      down_(lanczos_taps(from.size.height, to.size.height)) {
  UPRES_ASSERT(from.channels == to.channels, "resampling changes no channels");
}

void Resampler::write(Frame rows) {
  for (int y = 0; y < rows.size().height; ++y) {
    window_.push_back(filter_along(read_row(rows, y), across_, size_t(to_.channels)));
  }
  const int rows_in = window_first_ + int(window_.size());
  const auto ready = [&](int row) {
    return row < to_.size.height &&
           down_[size_t(row)].first + int(down_[size_t(row)].weights.size()) <= rows_in;
  };
  int end = rows_out_;
  while (ready(end)) ++end;
  if (end == rows_out_) return;
  Frame result({to_.size.width, end - rows_out_}, to_.type, to_.channels);
  for (int y = 0; rows_out_ < end; ++y, ++rows_out_) {
    Row sum = sum_rows();
    write_row(sum, result, y);
  }
  const int needed = end < to_.size.height ? down_[size_t(end)].first : rows_in;
  for (; window_first_ < needed && !window_.empty(); ++window_first_) window_.pop_front();
  next_.write(std::move(result));
}

Resampler::Row Resampler::sum_rows() const {
  const ResampleTaps& taps = down_[size_t(rows_out_)];
  Row sum(across_.size() * size_t(to_.channels), 0.0f);
  for (size_t i = 0; i < taps.weights.size(); ++i) {
    const Row& row = window_[size_t(taps.first - window_first_) + i];
    for (size_t x = 0; x < sum.size(); ++x) sum[x] += taps.weights[i] * row[x];
  }
  return sum;
}

size_t Resampler::bytes_needed(const FrameInfo& from, const FrameInfo& to) {
  const double stretch = std::max(1.0, double(from.size.height) / to.size.height);
  const double rows = 2 * kLobes * stretch + 1;
  return size_t(rows * to.size.width * to.channels * sizeof(float));
}

}  // namespace upres
