// SPDX-License-Identifier: Apache-2.0
// What holds for every way in which a network's tail is cut into bands.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "graph/bands.h"

namespace upres::test {

/// Every value that a band's later layers read is there in the band; but for rows that lie beyond
/// the picture.
inline void expect_bands_hold_what_they_read(const Graph& graph, size_t first_banded, Size padded,
                                             const Bands& bands) {
  for (const auto& band : bands) {
    for (size_t i = first_banded; i < graph.nodes().size(); ++i) {
      const Node& node = graph.nodes()[i];
      const auto needed = needed_inputs(node, band[size_t(node.output)]);
      const auto values = reads(node);
      for (size_t k = 0; k < values.size(); ++k) {
        const Interval there = band[size_t(values[k])];
        const int last = graph.size_of(values[k], padded).height - 1;
        EXPECT_LE(there.first, std::clamp(needed[k].first, 0, last)) << node.name;
        EXPECT_GE(there.last, std::clamp(needed[k].last, 0, last)) << node.name;
      }
    }
  }
}

}  // namespace upres::test
