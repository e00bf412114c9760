// SPDX-License-Identifier: Apache-2.0
// A dense block stacks x0, then x0 x1, then x0 x1 x2, … : every stack is the beginning of the
// longest one. With all of them in one wide storage nothing is ever copied:
//
//     wide   ├──── x0 ────┼─ x1 ─┼─ x2 ─┼─ x3 ─┼─ x4 ─┤
//     stacks ├───────────────────┤              (x0 x1)
//            ├──────────────────────────┤       (x0 x1 x2)
#include <algorithm>

#include "compile/pass/passes.h"

namespace upres {
namespace {

bool placed(const Graph& graph, ValueId id) {
  return graph.value(id).storage != id;
}

/// The inputs stand side by side in one storage already, the first at `offset`.
bool stand_side_by_side(const Graph& graph, const Node& concat) {
  const Value& first = graph.value(concat.inputs[0]);
  int offset = first.channel_offset;
  for (const ValueId id : concat.inputs) {
    const Value& value = graph.value(id);
    if (value.storage != first.storage || value.channel_offset != offset) return false;
    offset += value.channels;
  }
  return true;
}

/// Every input can be given a place: it has none yet, is not the picture, which engines fill in
/// their own way, and does not appear twice.
bool can_be_placed(const Graph& graph, const Node& concat, int slice_alignment) {
  const auto& inputs = concat.inputs;
  return std::all_of(inputs.begin(), inputs.end(), [&](ValueId id) {
    return !placed(graph, id) && id != graph.input() && id != graph.output() &&
           graph.value(id).channels % slice_alignment == 0 &&
           std::count(inputs.begin(), inputs.end(), id) == 1;
  });
}

void place(Graph& graph, ValueId id, ValueId storage, int channel_offset) {
  graph.value(id).storage = storage;
  graph.value(id).channel_offset = channel_offset;
}

/// True when the concat's output is, from now on, where its inputs are.
bool elide(Graph& graph, const Node& concat, int slice_alignment) {
  if (placed(graph, concat.output) || concat.output == graph.output()) return false;
  if (!stand_side_by_side(graph, concat) || !placed(graph, concat.inputs[0])) {
    if (!can_be_placed(graph, concat, slice_alignment)) return false;
    const Value& output = graph.value(concat.output);
    const ValueId storage =
        graph.add_storage("wide" + output.name.substr(1), output.channels, output.scale);
    int offset = 0;
    for (const ValueId id : concat.inputs) {
      place(graph, id, storage, offset);
      offset += graph.value(id).channels;
    }
  }
  const Value& first = graph.value(concat.inputs[0]);
  place(graph, concat.output, first.storage, first.channel_offset);
  return true;
}

}  // namespace

void elide_concat(Graph& graph, int slice_alignment) {
  // The longest stack of a block comes last and gives the others their places.
  auto& nodes = graph.nodes();
  for (size_t i = nodes.size(); i-- > 0;) {
    if (!std::holds_alternative<Concat>(nodes[i].op)) continue;
    const Node concat = nodes[i];
    if (elide(graph, concat, slice_alignment)) nodes.erase(nodes.begin() + ptrdiff_t(i));
  }
}

}  // namespace upres
