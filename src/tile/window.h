// SPDX-License-Identifier: Apache-2.0
// The weights with which overlapping tiles are mixed.
#pragma once

#include <vector>

#include "tile/grid.h"

namespace upres {

/// For each of the spans along one axis, one weight per pixel times `scale`: 1 where only this
/// span is, a raised cosine (1 - cos(pi t)) / 2 over what it shares with its neighbours. The
/// weights of all spans over one pixel add up to 1, so that a tile's weight is the product of its
/// column's and its row's and no sum has to be kept.
std::vector<std::vector<float>> blend_windows(const std::vector<Span>& spans, int scale);

}  // namespace upres
