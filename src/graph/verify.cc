// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"
#include "tensor/tensor.h"

namespace upres {
namespace {

void check_numbers(const Node& node, const char* what, std::span<const float> numbers,
                   size_t expected) {
  if (numbers.size() != expected) {
    fail(ErrorCode::model, "layer {}: {} {}, expected {}", node.name, numbers.size(), what,
         expected);
  }
  if (!all_finite(numbers)) {
    fail(ErrorCode::model, "layer {}: the {} hold a value that is not finite", node.name, what);
  }
}

void check_weights(const Node& node, const char* what, const Weights& weights, size_t expected) {
  check_numbers(node, what, weights ? std::span(*weights) : std::span<const float>(), expected);
}

void check_activation(const Node& node, const Activation& activation, int channels) {
  const size_t expected = activation.kind == Activation::Kind::none    ? 0
                          : activation.kind == Activation::Kind::prelu ? size_t(channels)
                                                                       : 1;
  check_numbers(node, "slopes", activation.slopes, expected);
}

void check_conv(const Graph& graph, const Node& node, const Conv2d& conv) {
  if (conv.kernel < 1 || conv.kernel % 2 == 0) {
    fail(ErrorCode::model, "layer {}: a kernel of {} is not odd", node.name, conv.kernel);
  }
  const auto outputs = size_t(conv.out_channels);
  check_weights(node, "weights", conv.weights,
                outputs * size_t(conv.in_channels) * size_t(conv.kernel) * size_t(conv.kernel));
  check_weights(node, "biases", conv.biases, outputs);
  check_activation(node, conv.epilogue.activation, conv.out_channels);
  const Value& output = graph.value(node.output);
  if (output.channels * conv.shuffle * conv.shuffle != conv.out_channels) {
    fail(ErrorCode::model, "layer {}: {} outputs are not shuffled to {} channels", node.name,
         conv.out_channels, output.channels);
  }
  for (const Addend& addend : conv.epilogue.addends) {
    const Value& value = graph.value(addend.value);
    if (value.channels != output.channels ||
        value.scale * Ratio{addend.enlarge, 1} != output.scale) {
      fail(ErrorCode::model, "layer {}: adds a value of another shape", node.name);
    }
  }
}

void check_resize(const Node& node, const Resize& op) {
  if (op.numerator < 1 || op.denominator < 1) {
    fail(ErrorCode::model, "layer {}: resizes by {}/{}", node.name, op.numerator, op.denominator);
  }
}

void check_place(const Graph& graph, const Value& value) {
  const Value& storage = graph.value(value.storage);
  const bool fits = storage.scale == value.scale && value.channel_offset >= 0 &&
                    value.channel_offset + value.channels <= storage.channels;
  if (!fits) fail(ErrorCode::model, "value {} lies outside of its storage", value.name);
}

}  // namespace

void verify(const Graph& graph) {
  const auto count = ValueId(graph.values().size());
  const auto known = [&](ValueId id) { return id >= 0 && id < count; };
  if (!known(graph.input()) || !known(graph.output())) {
    fail(ErrorCode::model, "the network has no input or no output");
  }
  for (const Value& value : graph.values()) check_place(graph, value);

  // Every channel of a storage is written once, and readable from then on.
  std::vector<std::vector<bool>> written;
  for (const Value& value : graph.values()) written.emplace_back(size_t(value.channels));
  const auto channels_of = [&](ValueId id) {
    const Value& value = graph.value(id);
    const auto begin = written[size_t(value.storage)].begin() + value.channel_offset;
    return std::pair(begin, begin + value.channels);
  };
  const auto check_readable = [&](ValueId id, const std::string& reader) {
    const auto [begin, end] = channels_of(id);
    if (std::find(begin, end, false) != end) {
      fail(ErrorCode::model, "{} reads {} before it is written", reader, graph.value(id).name);
    }
  };
  const auto write = [&](ValueId id) {
    const auto [begin, end] = channels_of(id);
    if (std::find(begin, end, true) != end) {
      fail(ErrorCode::model, "value {} is written twice", graph.value(id).name);
    }
    std::fill(begin, end, true);
  };
  write(graph.input());
  for (const Node& node : graph.nodes()) {
    for (const ValueId id : reads(node)) {
      if (!known(id)) fail(ErrorCode::model, "layer {} reads an unknown value", node.name);
      check_readable(id, "layer " + node.name);
    }
    if (!known(node.output)) fail(ErrorCode::model, "layer {} has no output", node.name);
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) check_conv(graph, node, *conv);
    if (const auto* op = std::get_if<Activate>(&node.op)) {
      check_activation(node, op->activation, graph.value(node.output).channels);
    }
    if (const auto* op = std::get_if<Resize>(&node.op)) check_resize(node, *op);
    write(node.output);
  }
  check_readable(graph.output(), "the output");
}

}  // namespace upres
