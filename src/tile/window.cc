// SPDX-License-Identifier: Apache-2.0
#include "tile/window.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numbers>

namespace upres {
namespace {

/// Sample i of n shared ones lies at t = (i + 1/2) / n: never quite 0, and symmetric.
double rise(size_t i, size_t n) {
  return 0.5 - 0.5 * std::cos(std::numbers::pi * (double(i) + 0.5) / double(n));
}

std::vector<float> window(const std::vector<Span>& spans, size_t index, int scale) {
  const Span span = spans[index];
  std::vector<float> weights(size_t(span.length()) * size_t(scale), 1.0f);
  const auto shared = [&](int pixels) {
    return std::min(size_t(std::max(pixels, 0)) * size_t(scale), weights.size());
  };
  const size_t left = index > 0 ? shared(spans[index - 1].end - span.begin) : 0;
  const size_t right = index + 1 < spans.size() ? shared(span.end - spans[index + 1].begin) : 0;
  for (size_t i = 0; i < left; ++i) weights[i] *= float(rise(i, left));
  for (size_t i = 0; i < right; ++i) weights[weights.size() - 1 - i] *= float(rise(i, right));
  return weights;
}

}  // namespace

std::vector<std::vector<float>> blend_windows(const std::vector<Span>& spans, int scale) {
  std::vector<std::vector<float>> windows;
  for (size_t i = 0; i < spans.size(); ++i) windows.push_back(window(spans, i, scale));

  // Two raised cosines add up to 1 by themselves; three spans over one pixel do not.
  std::vector<float> sum(size_t(spans.back().end) * size_t(scale), 0.0f);
  const auto sum_at = [&](size_t span) {
    return sum.begin() + ptrdiff_t(spans[span].begin) * scale;
  };
  for (size_t i = 0; i < spans.size(); ++i) {
    std::transform(windows[i].begin(), windows[i].end(), sum_at(i), sum_at(i), std::plus<>());
  }
  for (size_t i = 0; i < spans.size(); ++i) {
    std::transform(windows[i].begin(), windows[i].end(), sum_at(i), windows[i].begin(),
                   std::divides<>());
  }
  return windows;
}

}  // namespace upres
