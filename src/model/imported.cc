// SPDX-License-Identifier: Apache-2.0
#include "model/imported.h"

#include <vector>

namespace upres {

Graph without_unused(const Graph& graph) {
  const std::vector<Node>& nodes = graph.nodes();
  std::vector<bool> needed(graph.values().size());
  needed[size_t(graph.output())] = true;
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    if (!needed[size_t(node->output)]) continue;
    for (const ValueId id : reads(*node)) needed[size_t(id)] = true;
  }
  Graph result;
  std::vector<ValueId> moved(graph.values().size(), -1);
  moved[size_t(graph.input())] = result.add_input(graph.in_channels());
  for (const Node& node : nodes) {
    if (!needed[size_t(node.output)]) continue;
    std::vector<ValueId> inputs;
    for (const ValueId id : node.inputs) inputs.push_back(moved[size_t(id)]);
    moved[size_t(node.output)] = result.add(node.name, node.op, inputs);
  }
  result.set_output(moved[size_t(graph.output())]);
  return result;
}

}  // namespace upres
