// SPDX-License-Identifier: Apache-2.0
#include "backend/tensorrt/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "graph/footprint.h"

namespace upres::tensorrt {
namespace {

constexpr double kMostNumbers = 2147483647;
constexpr int kMostSide = 4096;
constexpr Size kUsual = {1280, 720};

/// The most numbers a value of the network has per pixel of its input.
double most_per_pixel(const Graph& graph) {
  double most = 1;
  for (const Value& value : graph.values()) {
    const double side = double(value.scale.numerator) / value.scale.denominator;
    most = std::max(most, side * side * value.channels);
  }
  return most;
}

}  // namespace

std::string text_of(const Profile& profile) {
  return fmt::format("{}x{} to {}x{}, tuned for {}x{}", profile.least.width, profile.least.height,
                     profile.most.width, profile.most.height, profile.tuned.width,
                     profile.tuned.height);
}

Profile choose_profile(const Graph& graph, std::optional<Size> hint) {
  const int alignment = footprint(graph).alignment;
  const int side =
      int(std::min(std::sqrt(kMostNumbers / most_per_pixel(graph)), double(kMostSide)));
  const int most = std::max(side / alignment, 1) * alignment;
  const Size wanted = padded(hint.value_or(kUsual), alignment);
  return {.least = {alignment, alignment},
          .tuned = {std::min(wanted.width, most), std::min(wanted.height, most)},
          .most = {most, most}};
}

}  // namespace upres::tensorrt
