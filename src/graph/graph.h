// SPDX-License-Identifier: Apache-2.0
// A network as a list of operators in the order they run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/op.h"
#include "tile/rect.h"

namespace upres {

/// A positive ratio in lowest terms.
struct Ratio {
  int numerator = 1;
  int denominator = 1;
  friend bool operator==(const Ratio&, const Ratio&) = default;
};
Ratio operator*(Ratio a, Ratio b);

/// A tensor that flows between operators. It occupies channels [channel_offset, channel_offset +
/// channels) of `storage`, which is the value itself unless a pass gave it a place in a wider one
/// (dense blocks: see compile/pass/elide_concat.cc).
struct Value {
  std::string name;
  int channels = 0;
  Ratio scale;  ///< pixels per pixel of the graph's input, along each side
  ValueId storage = 0;
  int channel_offset = 0;
};

/// One operator at work.
struct Node {
  std::string name;  ///< the layer's name in the model file where it has one: "body.3.rdb1.conv2"
  Op op;
  std::vector<ValueId> inputs;
  ValueId output = -1;
};

/// A network: one input, one output, nodes in an order in which every value is written before it
/// is read. A plain value type: passes copy and change it; verify() says whether it still holds
/// together. Weights are shared between copies.
class Graph {
 public:
  /// The graph's input, of the given channels and scale 1. Called once, first.
  ValueId add_input(int channels);

  /// Appends a node; the output's channels and scale follow from the operator and its inputs.
  /// Error{model} with the node's name where they do not fit.
  ValueId add(std::string name, Op op, std::vector<ValueId> inputs);

  /// Appends a value that no node writes as a whole: storage that others are placed in.
  ValueId add_storage(std::string name, int channels, Ratio scale);

  void set_output(ValueId value) { output_ = value; }

  ValueId input() const { return input_; }
  ValueId output() const { return output_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  std::vector<Node>& nodes() { return nodes_; }
  const std::vector<Value>& values() const { return values_; }
  const Value& value(ValueId id) const { return values_[size_t(id)]; }
  Value& value(ValueId id) { return values_[size_t(id)]; }

  /// Channels the network reads and writes, and how many times larger the result is.
  int in_channels() const { return value(input_).channels; }
  int out_channels() const { return value(output_).channels; }
  int scale() const;

  /// A value's size in pixels for an input of `input_size`, a multiple of the graph's alignment.
  Size size_of(ValueId id, Size input_size) const;

 private:
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  ValueId input_ = -1;
  ValueId output_ = -1;
};

/// All values a node reads: its inputs, then its epilogue's addends.
std::vector<ValueId> reads(const Node& node);

/// Throws Error{model} that names the first node or value that breaks a rule: something read
/// before it is written, channels that do not fit, weights of the wrong size or not finite.
void verify(const Graph& graph);

/// The graph as text, one node a line, values with their shapes:
///     body.0  conv3x3 3->64 +prelu  in[3] -> v1[64]
std::string print(const Graph& graph);

}  // namespace upres
