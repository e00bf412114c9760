// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "compile/pass/passes.h"

namespace upres {
namespace {

/// The index of the node that writes `value`, if it is of this kind and one node alone reads it.
template <typename Kind>
std::optional<size_t> only_writer(const Graph& graph, ValueId value) {
  std::optional<size_t> writer;
  int readers = 0;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.output == value && std::holds_alternative<Kind>(node.op)) writer = i;
    const std::vector<ValueId> read = reads(node);
    readers += int(std::count(read.begin(), read.end(), value));
  }
  return readers == 1 ? writer : std::nullopt;
}

}  // namespace

void fuse_shuffle(Graph& graph, int factor) {
  auto& nodes = graph.nodes();
  const auto add = std::find_if(nodes.begin(), nodes.end(), [&](const Node& node) {
    return node.output == graph.output() && std::holds_alternative<Add>(node.op);
  });
  if (add == nodes.end()) return;
  for (const size_t side : {size_t(0), size_t(1)}) {
    const auto shuffle = only_writer<PixelShuffle>(graph, add->inputs[side]);
    const auto upsample = only_writer<Upsample>(graph, add->inputs[1 - side]);
    if (!shuffle || !upsample) continue;
    const auto conv = only_writer<Conv2d>(graph, nodes[*shuffle].inputs[0]);
    if (!conv || std::get<PixelShuffle>(nodes[*shuffle].op).factor != factor ||
        std::get<Upsample>(nodes[*upsample].op).factor != factor ||
        nodes[*upsample].inputs[0] != graph.input()) {
      continue;
    }
    auto& op = std::get<Conv2d>(nodes[*conv].op);
    if (op.epilogue.activation.kind != Activation::Kind::none || !op.epilogue.addends.empty()) {
      continue;
    }
    op.shuffle = factor;
    op.epilogue.addends.push_back({nodes[*upsample].inputs[0], 1.0f, factor});
    // In the place of the sum, by when the enlarged value is there.
    nodes[*conv].output = add->output;
    std::swap(nodes[*conv], *add);
    size_t merged[] = {*conv, *shuffle, *upsample};
    std::sort(std::begin(merged), std::end(merged));
    for (size_t i = std::size(merged); i-- > 0;) nodes.erase(nodes.begin() + ptrdiff_t(merged[i]));
    return;
  }
}

}  // namespace upres
