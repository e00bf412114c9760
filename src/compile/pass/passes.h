// SPDX-License-Identifier: Apache-2.0
// The passes: each rewrites a verified graph into one that computes the same, up to rounding.
#pragma once

#include "graph/graph.h"

namespace upres {

/// conv → activation becomes one convolution with an epilogue.
void fuse_activation(Graph& graph);

/// conv → scale is folded into the weights, conv → add becomes an addend of the epilogue.
void fuse_residual(Graph& graph);

/// upsample → conv becomes a convolution that reads an enlarged input, so that the large one need
/// not exist.
void fold_upsample(Graph& graph);

/// conv → pixel shuffle by `factor` → plus the enlarged input, at the network's end, becomes one
/// convolution that shuffles what it stores.
void fuse_shuffle(Graph& graph, int factor);

/// Gives the inputs of a concat neighbouring places in one wide storage, so that the concat
/// vanishes. Only where every input begins at a multiple of `slice_alignment` channels and has a
/// multiple of it.
void elide_concat(Graph& graph, int slice_alignment);

}  // namespace upres
