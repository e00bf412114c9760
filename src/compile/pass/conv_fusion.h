// SPDX-License-Identifier: Apache-2.0
// What the fusing passes share: finding a convolution that a node can be merged into, and doing it.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "graph/graph.h"

namespace upres {

/// Merges nodes of a graph into the convolutions whose results they read. Indices are those of
/// Graph::nodes() and stay valid until finish(), which removes the nodes that became empty.
class ConvFusion {
 public:
  explicit ConvFusion(Graph& graph);

  /// The convolution that writes `value`, if one does and nothing but one node reads it: then that
  /// node can be merged into the convolution.
  std::optional<size_t> mergeable_conv(ValueId value) const;

  Conv2d& conv(size_t node) { return std::get<Conv2d>(graph_.nodes()[node].op); }

  /// Puts convolution `conv` in the place of node `consumer`, whose output it writes from now on.
  void merge(size_t conv, size_t consumer);

  void finish();

 private:
  Graph& graph_;
  std::vector<std::optional<size_t>> writer_;  ///< by value
  std::vector<int> read_count_;                ///< by value; the graph's output counts as read
};

}  // namespace upres
