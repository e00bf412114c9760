// SPDX-License-Identifier: Apache-2.0
// What a network needs around a tile, and what it costs: facts computed from its graph.
#pragma once

#include <cstdint>

#include <vector>

#include "graph/graph.h"

namespace upres {

struct Footprint {
  /// Pixels of the input beyond each edge of a tile that its result depends on, for tiles whose
  /// edges are multiples of `alignment`. Itself a multiple of `alignment`.
  int halo = 0;
  /// Widths, heights and tile origins must be multiples of this (2 for one pixel-unshuffle by 2).
  int alignment = 1;
};

Footprint footprint(const Graph& graph);

/// Rows (or columns) first to last of a value.
struct Interval {
  int first;
  int last;
};

/// What a node needs of each value it reads, in the order of reads(), for `out` of its output. May
/// lie partly outside of the value.
std::vector<Interval> needed_inputs(const Node& node, Interval out);

/// The size a network runs at for such an input: rounded up to whole alignments.
Size padded(Size read, int alignment);

/// Multiplications and additions of all convolutions, per pixel of the input (one
/// multiply-add is two).
double flops_per_pixel(const Graph& graph);
double flops_per_pixel(const Graph& graph, const Node& node);

/// Bytes of float32 values alive at once, per pixel of the input: what an engine needs that keeps
/// channels in whole vectors. A
/// property of the network alone, from which the automatic tile follows.
double activation_bytes_per_pixel(const Graph& graph);

/// Weights, biases and activation slopes.
int64_t parameter_count(const Graph& graph);

}  // namespace upres
