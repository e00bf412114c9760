// SPDX-License-Identifier: Apache-2.0
#include "compile/pass/conv_fusion.h"

#include <utility>

namespace upres {
namespace {

// The output of a node that was merged away.
constexpr ValueId kNone = -1;

}  // namespace

ConvFusion::ConvFusion(Graph& graph)
    : graph_(graph), writer_(graph.values().size()), read_count_(graph.values().size()) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    writer_[size_t(node.output)] = i;
    for (const ValueId id : reads(node)) ++read_count_[size_t(id)];
  }
  ++read_count_[size_t(graph.output())];
}

std::optional<size_t> ConvFusion::mergeable_conv(ValueId value) const {
  const auto writer = writer_[size_t(value)];
  const bool fits = writer && read_count_[size_t(value)] == 1 &&
                    std::holds_alternative<Conv2d>(graph_.nodes()[*writer].op);
  return fits ? writer : std::nullopt;
}

void ConvFusion::merge(size_t conv, size_t consumer) {
  Node& from = graph_.nodes()[conv];
  Node& to = graph_.nodes()[consumer];
  writer_[size_t(from.output)].reset();
  from.output = to.output;
  std::swap(from, to);
  from.output = kNone;
}

void ConvFusion::finish() {
  std::erase_if(graph_.nodes(), [](const Node& node) { return node.output == kNone; });
}

}  // namespace upres
