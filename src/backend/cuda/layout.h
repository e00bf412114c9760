// SPDX-License-Identifier: Apache-2.0
// Where everything is in the GPU's memory for one size of picture, and in what pieces it is made.
// Needs no GPU.
#pragma once

#include <optional>

#include "backend/cuda/activations.h"
#include "backend/cuda/convolution_arguments.h"
#include "graph/arena.h"
#include "graph/bands.h"
#include "graph/graph.h"

namespace upres::cuda {

struct Layout {
  Size padded;  ///< the network's input
  Element element;
  size_t first_banded;  ///< this node and all after it run once a band
  Bands bands;
  ArenaPlan arena;
};

/// `padded` is a multiple of the graph's alignment. `unstored`: a value that is never there.
Layout plan_layout(const Graph& graph, Size padded, Element element,
                   std::optional<ValueId> unstored = {});

/// A value as it is during a band, in an arena that begins at `arena`.
Activations place(const Graph& graph, const Layout& layout, size_t band, ValueId id,
                  std::byte* arena);

/// Where a node's result goes: a convolution that makes the network's result stores samples, if it
/// does no more.
Sink sink_of(const Graph& graph, const Node& node);

/// Whether the network's result is never there as activations.
bool stores_samples(const Graph& graph);

}  // namespace upres::cuda
