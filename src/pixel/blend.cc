// SPDX-License-Identifier: Apache-2.0
#include "pixel/blend.h"

namespace upres {

void add_weighted(const Activations& tile, std::span<const float> column_weights,
                  std::span<const float> row_weights, const Activations& sum, Point at) {
  for (int y = 0; y < int(row_weights.size()); ++y) {
    for (int c = 0; c < 3; ++c) {
      const float* in = tile.pixel(0, y) + c * tile.channel_stride;
      float* out = sum.pixel(at.x, at.y + y) + c * sum.channel_stride;
      for (const float weight : column_weights) {
        *out += row_weights[size_t(y)] * weight * *in;
        in += tile.pixel_stride;
        out += sum.pixel_stride;
      }
    }
  }
}

}  // namespace upres
