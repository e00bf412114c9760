// SPDX-License-Identifier: Apache-2.0
// From a graph to an engine.
#pragma once

#include <memory>

#include "backend/backend.h"
#include "graph/graph.h"

namespace upres {

/// Runs the passes that `capabilities` allow, in the order of the table in compile.cc; the graph
/// is verified after each. The result computes what `graph` computes, up to rounding.
Graph optimise(Graph graph, const Capabilities& capabilities);

/// optimise() for the device, then load. Error{usage} when the device has no such precision.
std::unique_ptr<Engine> compile(const Graph& graph, const Device& device,
                                Precision precision = Precision::automatic);

}  // namespace upres
