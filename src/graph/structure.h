// SPDX-License-Identifier: Apache-2.0
// Comparing what two graphs compute, weights apart.
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace upres {

/// One hash a node, in the order of nodes(), of its operator, its attributes (weights apart) and
/// the hashes of what it reads; the operands of an addition may be swapped. Two graphs compute the
/// same function of their weights when the hashes of the nodes that write their outputs are equal;
/// names and the order of nodes make no difference. Only for graphs without storages.
std::vector<uint64_t> structure_hashes(const Graph& graph);

}  // namespace upres
