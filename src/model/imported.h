// SPDX-License-Identifier: Apache-2.0
// Limits for graphs that come from files. Far beyond any network; they keep channels and sizes,
// which are computed in int, from overflowing.
#pragma once

#include "graph/graph.h"

namespace upres {

constexpr int kMostChannels = 1 << 15;
constexpr int64_t kMostWeights = 1 << 26;  ///< of a layer

inline bool is_plausible(const Value& value) {
  constexpr int kMostScale = 1 << 10;
  return value.channels <= kMostChannels && value.scale.numerator <= kMostScale &&
         value.scale.denominator <= kMostScale;
}

}  // namespace upres
