// SPDX-License-Identifier: Apache-2.0
// How large a result is to be.
#pragma once

#include "tile/rect.h"

namespace upres {

/// What the user asked for. Lengths are rounded to the nearest pixel, at least one.
struct OutputSize {
  enum class Rule {
    native,  ///< the picture times the network's scale
    scale,   ///< the picture times `scale`
    width,   ///< `size.width`, the height in proportion
    height,  ///< `size.height`, the width in proportion
    exact,   ///< `size`, whatever the proportions
    fit,     ///< the largest with the picture's proportions inside `size`
  };
  Rule rule = Rule::native;
  double scale = 1;
  Size size = {};

  /// The result's size. Error{input} where a side would be longer than kMaxSide.
  Size of(Size picture, int network_scale) const;
};

/// Keeps every coordinate of a result, and sums of two, within an int.
constexpr int kMaxSide = 1 << 28;

}  // namespace upres
