// SPDX-License-Identifier: Apache-2.0
// Networks in ncnn's two files: a graph (.param, or .param.bin in binary) and its weights in order
// (.bin).
#pragma once

#include <cstddef>
#include <span>

#include "graph/graph.h"
#include "model/state_dict.h"

namespace upres {

struct NcnnNetwork {
  /// NAME.weight and NAME.bias by the names of the layers, in the order of the graph.
  StateDict weights;
  /// The graph of our plain operators, named by their layers, without the values of the weights.
  Graph graph;
};

/// Reads both files. Error{model} that names the layer where they are damaged, do not belong
/// together, or hold an operator or a parameter of one that we do not have; that names the network
/// instead where it is of a family that is known and not run.
NcnnNetwork read_ncnn(std::span<const std::byte> param, std::span<const std::byte> bin);

}  // namespace upres
