// SPDX-License-Identifier: Apache-2.0
#include "model/habits.h"

#include <vector>

#include "model/rewrite.h"

namespace upres {
namespace {

/// value * factor + offset, of channels in this order or the other.
Conv2d translation(int channels, float factor, float offset, bool reversed) {
  std::vector<ChannelMix> mix;
  for (int out = 0; out < channels; ++out) {
    mix.push_back({reversed ? channels - 1 - out : out, factor, offset});
  }
  return mixing(channels, mix);
}

}  // namespace

Graph translated(const Graph& graph, const Habits& habits) {
  if (habits == Habits{}) return graph;
  const float range = habits.high - habits.low;
  Graph result;
  const ValueId in = result.add_input(graph.in_channels());
  const ValueId theirs = result.add(
      "to_habits", translation(graph.in_channels(), range, habits.low, habits.blue_first), {in});
  const ValueId made = append(graph, theirs, result);
  result.set_output(result.add(
      "from_habits",
      translation(graph.out_channels(), 1 / range, -habits.low / range, habits.blue_first),
      {made}));
  return result;
}

}  // namespace upres
