// SPDX-License-Identifier: Apache-2.0
#include "model/rewrite.h"

#include <memory>
#include <vector>

namespace upres {

Conv2d mixing(int in_channels, std::span<const ChannelMix> mix) {
  Conv2d conv;
  conv.in_channels = in_channels;
  conv.out_channels = int(mix.size());
  conv.kernel = 1;
  std::vector<float> weights(mix.size() * size_t(in_channels));
  std::vector<float> biases;
  for (size_t out = 0; out < mix.size(); ++out) {
    weights[out * size_t(in_channels) + size_t(mix[out].channel)] = mix[out].factor;
    biases.push_back(mix[out].offset);
  }
  conv.weights = std::make_shared<const std::vector<float>>(std::move(weights));
  conv.biases = std::make_shared<const std::vector<float>>(std::move(biases));
  return conv;
}

ValueId append(const Graph& from, ValueId input, Graph& to) {
  const std::vector<Node>& nodes = from.nodes();
  std::vector<bool> needed(from.values().size());
  needed[size_t(from.output())] = true;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    if (!needed[size_t(node->output)]) continue;
    for (const ValueId id : reads(*node)) needed[size_t(id)] = true;
  }
  std::vector<ValueId> moved(from.values().size(), -1);
  moved[size_t(from.input())] = input;
  for (const Node& node : nodes) {
    if (!needed[size_t(node.output)]) continue;
    std::vector<ValueId> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(moved[size_t(id)]);
    moved[size_t(node.output)] = to.add(node.name, node.op, inputs);
  }
  return moved[size_t(from.output())];
}

Graph without_unused(const Graph& graph) {
  Graph result;
  const ValueId input = result.add_input(graph.in_channels());
  result.set_output(append(graph, input, result));
  return result;
}

}  // namespace upres
