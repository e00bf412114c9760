// SPDX-License-Identifier: Apache-2.0
// One block of memory for all values of a graph: values that never live at once share bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "graph/graph.h"

namespace upres {

struct ArenaPlan {
  size_t size_bytes = 0;
  /// Where each value's storage begins, by ValueId. Values placed in another's storage have that
  /// storage's offset; their channels follow from Value::channel_offset.
  std::vector<size_t> offsets;
};

/// Places every storage of the graph. `bytes_of` says what a storage takes for the shape at hand;
/// offsets are multiples of 128 bytes. A storage lives from the first node that writes a part of it
/// to the last that reads one; the graph's input lives from the start, its output to the end, and
/// a node's output never shares bytes with what the node reads. Nodes from `repeated_from` on run
/// several times over, as the last ones: what they read of the others lives to the end.
ArenaPlan plan_arena(const Graph& graph, const std::function<size_t(ValueId)>& bytes_of,
                     size_t repeated_from = SIZE_MAX);

}  // namespace upres
