// SPDX-License-Identifier: Apache-2.0
// Joins overlapping tiles.
#pragma once

#include <span>

#include "pixel/convert.h"
#include "tile/rect.h"

namespace upres {

/// Adds a tile to a running sum: sum(at + p) += column_weights[p.x] * row_weights[p.y] * tile(p)
/// for the three first channels. There are as many weights as the tile has columns and rows. The
/// weights are tile/window.h's, so that the sum of all tiles is the picture.
void add_weighted(const Activations& tile, std::span<const float> column_weights,
                  std::span<const float> row_weights, const Activations& sum, Point at);

}  // namespace upres
