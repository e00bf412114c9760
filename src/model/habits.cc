// SPDX-License-Identifier: Apache-2.0
#include "model/habits.h"

#include <memory>
#include <vector>

namespace upres {
namespace {

/// value * factor + offset, of channels in this order or the other.
Conv2d translation(int channels, float factor, float offset, bool reversed) {
  Conv2d conv;
  conv.in_channels = channels;
  conv.out_channels = channels;
  conv.kernel = 1;
  std::vector<float> weights(size_t(channels) * size_t(channels));
  for (int out = 0; out < channels; ++out) {
    const int in = reversed ? channels - 1 - out : out;
    weights[size_t(out) * size_t(channels) + size_t(in)] = factor;
  }
  conv.weights = std::make_shared<const std::vector<float>>(std::move(weights));
  conv.biases = std::make_shared<const std::vector<float>>(size_t(channels), offset);
  return conv;
}

}  // namespace

Graph translated(const Graph& graph, const Habits& habits) {
  if (habits == Habits{}) return graph;
  const float range = habits.high - habits.low;
  Graph result;
  std::vector<ValueId> moved(graph.values().size(), -1);
  const ValueId in = result.add_input(graph.in_channels());
  moved[size_t(graph.input())] = result.add(
      "to_habits", translation(graph.in_channels(), range, habits.low, habits.blue_first), {in});
  for (const Node& node : graph.nodes()) {
    std::vector<ValueId> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(moved[size_t(id)]);
    moved[size_t(node.output)] = result.add(node.name, node.op, inputs);
  }
  const ValueId out = moved[size_t(graph.output())];
  result.set_output(result.add(
      "from_habits",
      translation(graph.out_channels(), 1 / range, -habits.low / range, habits.blue_first), {out}));
  return result;
}

}  // namespace upres
