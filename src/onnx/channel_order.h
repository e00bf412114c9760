// SPDX-License-Identifier: Apache-2.0
// Channels between blocks of pixels: a channel's pixels side by side are ours (and PyTorch's), a
// pixel's channels side by side the older operators' of ONNX.
#pragma once

#include <cstdint>
#include <vector>

namespace upres {

/// Where each of rows * columns channels comes from, that stand as `rows` groups of `columns` and
/// shall stand as `columns` groups of `rows`.
inline std::vector<int64_t> transposed_order(int rows, int columns) {
  std::vector<int64_t> order;
  for (int i = 0; i < rows * columns; ++i) {
    order.push_back(int64_t(i % rows) * columns + i / rows);
  }
  return order;
}

}  // namespace upres
