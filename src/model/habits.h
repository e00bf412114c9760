// SPDX-License-Identifier: Apache-2.0
// Networks that want their pictures otherwise than most.
#pragma once

#include "graph/graph.h"

namespace upres {

/// How a network takes and gives colours. Those of most networks are the defaults.
struct Habits {
  float low = 0, high = 1;  ///< the values of black and of full intensity
  bool blue_first = false;  ///< channels are blue, green, red
  friend bool operator==(const Habits&, const Habits&) = default;
};

/// The network for colours of 0 to 1, red first: the graph between convolutions of 1x1 that
/// translate.
Graph translated(const Graph& graph, const Habits& habits);

}  // namespace upres
