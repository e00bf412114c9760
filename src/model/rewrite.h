// SPDX-License-Identifier: Apache-2.0
// What is done to graphs before they are compiled.
#pragma once

#include <span>

#include "graph/graph.h"

namespace upres {

/// An output channel: `factor` times an input channel, plus `offset`.
struct ChannelMix {
  int channel;
  float factor = 1;
  float offset = 0;
};

/// A convolution of 1x1 that makes these channels of so many.
Conv2d mixing(int in_channels, std::span<const ChannelMix> mix);

/// Appends the nodes that a graph's output needs to another graph, where `input` is what they read
/// as theirs. Returns the value that is the output.
ValueId append(const Graph& from, ValueId input, Graph& to);

/// The same network without the nodes that its output does not need.
Graph without_unused(const Graph& graph);

}  // namespace upres
