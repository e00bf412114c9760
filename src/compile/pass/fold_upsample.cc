// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "compile/pass/passes.h"

namespace upres {
namespace {

/// The nodes that read a value; nothing where one of them is no convolution, or the value is the
/// network's result.
std::vector<size_t> reading_convolutions(const Graph& graph, ValueId value) {
  if (value == graph.output()) return {};
  std::vector<size_t> convolutions;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const std::vector<ValueId> all = reads(node);
    const auto count = std::count(all.begin(), all.end(), value);
    if (count == 0) continue;
    const bool as_input = std::holds_alternative<Conv2d>(node.op) && node.inputs[0] == value;
    if (!as_input || count > 1) return {};  // added by an epilogue, or by something else
    convolutions.push_back(i);
  }
  return convolutions;
}

}  // namespace

void fold_upsample(Graph& graph) {
  auto& nodes = graph.nodes();
  for (size_t i = nodes.size(); i-- > 0;) {
    const auto* upsample = std::get_if<Upsample>(&nodes[i].op);
    if (!upsample) continue;
    const std::vector<size_t> convolutions = reading_convolutions(graph, nodes[i].output);
    if (convolutions.empty()) continue;
    for (const size_t node : convolutions) {
      std::get<Conv2d>(nodes[node].op).enlarge *= upsample->factor;
      nodes[node].inputs[0] = nodes[i].inputs[0];
    }
    nodes.erase(nodes.begin() + ptrdiff_t(i));
  }
}

}  // namespace upres
