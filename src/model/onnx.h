// SPDX-License-Identifier: Apache-2.0
// Networks in ONNX files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "graph/graph.h"
#include "model/state_dict.h"

namespace upres {

struct OnnxNetwork {
  /// NAME.weight and NAME.bias of the layers that have some, in the order of the graph, with the
  /// same values: what files split or permute is put together.
  StateDict weights;
  /// The graph of our plain operators, with its weights.
  Graph graph;
};

/// Reads a file, whose weights may lie in others in `folder`. Error{model} that names the node
/// where it is damaged, or asks for an operator or a variant of one that we do not have.
OnnxNetwork read_onnx(std::span<const std::byte> file, const std::filesystem::path& folder);

}  // namespace upres
