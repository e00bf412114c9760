// SPDX-License-Identifier: Apache-2.0
#include "upscale/verification.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace upres {
namespace {

using Colour = std::array<double, 3>;  // 0..1

/// 0..1; the mixer of splitmix64.
double noise(uint64_t index) {
  uint64_t z = (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return double((z ^ (z >> 31)) >> 11) / double(uint64_t(1) << 53);
}

Colour gradient(double x, double y) {
  return {x, y, (x + y) / 2};
}

/// A red disc on white, and lines that get denser and slant.
Colour edges(double x, double y, int row, int column) {
  if (std::hypot(x - 0.35, y - 0.5) < 0.3) return {0.8, 0.1, 0.1};
  const bool line = x > 0.7 && (column + row / 2) % std::max(2, 9 - int(y * 8)) == 0;
  return line ? Colour{0, 0, 0} : Colour{1, 1, 1};
}

/// Rings that get finer outwards, in another phase for each channel.
Colour texture(double x, double y) {
  const double phase = 40 * (x * x + y * y);
  return {0.5 + 0.5 * std::cos(phase), 0.5 + 0.4 * std::cos(phase + 1),
          0.5 + 0.3 * std::sin(phase)};
}

}  // namespace

Frame test_card(Size size) {
  Frame card(size, SampleType::u8, 3);
  const int half_width = std::max(1, size.width / 2);
  const int half_height = std::max(1, size.height / 2);
  for (int row = 0; row < size.height; ++row) {
    for (int column = 0; column < size.width; ++column) {
      const bool right = column >= half_width;
      const bool lower = row >= half_height;
      const double x = double(right ? column - half_width : column) / half_width;
      const double y = double(lower ? row - half_height : row) / half_height;
      const auto index = uint64_t(row) * uint64_t(size.width) + uint64_t(column);
      Colour colour = gradient(x, y);
      if (right && !lower) colour = edges(x, y, row, column);
      if (!right && lower) colour = texture(x, y);
      for (size_t c = 0; c < 3; ++c) {
        if (right && lower) colour[c] = 0.5 * colour[c] + 0.5 * noise(3 * index + c);
        const double level = std::clamp(colour[c], 0.0, 1.0) * 255;
        card.row(row)[size_t(column) * 3 + c] = std::byte(std::lround(level));
      }
    }
  }
  return card;
}

Frame middle_of(const Frame& picture, Size size) {
  const Size from = picture.size();
  const Size kept = {std::min(size.width, from.width), std::min(size.height, from.height)};
  Frame middle(kept, picture.type(), picture.channels());
  const auto left = size_t((from.width - kept.width) / 2);
  const int top = (from.height - kept.height) / 2;
  const size_t pixel_bytes = picture.row_bytes() / size_t(from.width);
  for (int y = 0; y < kept.height; ++y) {
    std::memcpy(middle.row(y), picture.row(top + y) + left * pixel_bytes, middle.row_bytes());
  }
  return middle;
}

Agreement agreement(const Frame& made, const Frame& expected) {
  UPRES_ASSERT(made.info() == expected.info() && made.type() == SampleType::f32,
               "float pictures of one shape are compared");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto* a = reinterpret_cast<const float*>(made.data());
  const auto* b = reinterpret_cast<const float*>(expected.data());
  const size_t count = made.total_bytes() / sizeof(float);
  double squares = 0;
  double largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const double difference = std::abs(double(a[i]) - double(b[i]));
    if (!std::isfinite(difference)) return {-kInfinity, kInfinity};
    squares += difference * difference;
    largest = std::max(largest, difference);
  }
  const double psnr = squares > 0 ? -10 * std::log10(squares / double(count)) : kInfinity;
  return {psnr, largest * 255};
}

double least_psnr_db(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return 90;
    case Precision::fp16:
      return 60;
    case Precision::fp16_fast:
      return 54;
    case Precision::automatic:
      break;
  }
  UPRES_ASSERT(false, "results are of one precision");
}

}  // namespace upres
