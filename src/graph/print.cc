// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/error.h"
#include "graph/graph.h"

namespace upres {
namespace {

std::string_view name_of(Activation::Kind kind) {
  switch (kind) {
    case Activation::Kind::none:
      return "identity";
    case Activation::Kind::relu:
      return "relu";
    case Activation::Kind::leaky_relu:
      return "leaky_relu";
    case Activation::Kind::prelu:
      return "prelu";
  }
  UPRES_ASSERT(false, "every activation has a name");
}

std::string describe(const Activation& activation) {
  return activation.kind == Activation::Kind::leaky_relu
             ? fmt::format("leaky_relu({})", activation.slopes[0])
             : std::string(name_of(activation.kind));
}

/// "v3[64]" for a value of 64 channels, "v3[64] at wide0+64" where it has a place in another.
std::string describe(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  std::string text = fmt::format("{}[{}]", value.name, value.channels);
  if (value.storage != id) {
    text += fmt::format(" at {}+{}", graph.value(value.storage).name, value.channel_offset);
  }
  return text;
}

struct DescribeOp {
  const Graph& graph;

  std::string operator()(const Conv2d& conv) const {
    std::string text =
        fmt::format("conv{0}x{0} {1}->{2}", conv.kernel, conv.in_channels, conv.out_channels);
    if (conv.enlarge > 1) text += fmt::format(" of x{}", conv.enlarge);
    if (conv.shuffle > 1) text += fmt::format(" shuffled by {}", conv.shuffle);
    const Activation& activation = conv.epilogue.activation;
    if (activation.kind != Activation::Kind::none) text += " +" + describe(activation);
    for (const Addend& addend : conv.epilogue.addends) {
      text += fmt::format(" +{}*{}", addend.scale, describe(graph, addend.value));
      if (addend.enlarge > 1) text += fmt::format(" of x{}", addend.enlarge);
    }
    return text;
  }
  std::string operator()(const Activate& op) const { return describe(op.activation); }
  std::string operator()(const Add&) const { return "add"; }
  std::string operator()(const Scale& op) const { return fmt::format("scale({})", op.factor); }
  std::string operator()(const Concat&) const { return "concat"; }
  std::string operator()(const Upsample& op) const {
    return fmt::format("upsample({})", op.factor);
  }
  std::string operator()(const PixelShuffle& op) const {
    return fmt::format("pixel_shuffle({})", op.factor);
  }
  std::string operator()(const PixelUnshuffle& op) const {
    return fmt::format("pixel_unshuffle({})", op.factor);
  }
  std::string operator()(const Resize& op) const {
    return fmt::format("resize({}/{})", op.numerator, op.denominator);
  }
};

struct KindName {
  std::string_view operator()(const Conv2d&) const { return "convolution"; }
  std::string_view operator()(const Activate& op) const { return name_of(op.activation.kind); }
  std::string_view operator()(const Add&) const { return "add"; }
  std::string_view operator()(const Scale&) const { return "scale"; }
  std::string_view operator()(const Concat&) const { return "concat"; }
  std::string_view operator()(const Upsample&) const { return "upsample"; }
  std::string_view operator()(const PixelShuffle&) const { return "pixel_shuffle"; }
  std::string_view operator()(const PixelUnshuffle&) const { return "pixel_unshuffle"; }
  std::string_view operator()(const Resize&) const { return "resize"; }
};

}  // namespace

std::string_view kind_name(const Op& op) {
  return std::visit(KindName{}, op);
}

std::string print(const Graph& graph) {
  std::string text;
  for (const Node& node : graph.nodes()) {
    std::string inputs;
    for (const ValueId id : node.inputs) {
      inputs += (inputs.empty() ? "" : ", ") + describe(graph, id);
    }
    text +=
        fmt::format("{:<24} {:<32} {} -> {}\n", node.name, std::visit(DescribeOp{graph}, node.op),
                    inputs, describe(graph, node.output));
  }
  return text + fmt::format("output {}\n", describe(graph, graph.output()));
}

}  // namespace upres
