// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <vector>

#include "compile/pass/conv_fusion.h"
#include "compile/pass/passes.h"

namespace upres {
namespace {

Weights scaled(const Weights& weights, float factor) {
  auto result = std::make_shared<std::vector<float>>(*weights);
  for (float& weight : *result) weight *= factor;
  return result;
}

/// Multiplies what a convolution stores by `factor`. The activations are homogeneous for positive
/// factors, so the factor passes through them: f * act(x) = act(f * x).
bool scale_conv(Conv2d& conv, float factor) {
  if (factor <= 0 && conv.epilogue.activation.kind != Activation::Kind::none) return false;
  conv.weights = scaled(conv.weights, factor);
  conv.biases = scaled(conv.biases, factor);
  for (Addend& addend : conv.epilogue.addends) addend.scale *= factor;
  return true;
}

void merge_scale(ConvFusion& fusion, const Graph& graph, size_t node, const Scale& scale) {
  const auto conv = fusion.mergeable_conv(graph.nodes()[node].inputs[0]);
  if (conv && scale_conv(fusion.conv(*conv), scale.factor)) fusion.merge(*conv, node);
}

/// Of two mergeable operands the one computed later is taken: it can read the other.
void merge_add(ConvFusion& fusion, const Graph& graph, size_t node) {
  const auto& operands = graph.nodes()[node].inputs;
  std::optional<size_t> conv;
  ValueId other = -1;
  for (const size_t side : {size_t(0), size_t(1)}) {
    const auto candidate = fusion.mergeable_conv(operands[side]);
    if (!candidate || (conv && *conv > *candidate)) continue;
    conv = candidate;
    other = operands[1 - side];
  }
  if (!conv) return;
  fusion.conv(*conv).epilogue.addends.push_back({other, 1.0f});
  fusion.merge(*conv, node);
}

}  // namespace

void fuse_residual(Graph& graph) {
  ConvFusion fusion(graph);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Op& op = graph.nodes()[i].op;
    if (const auto* scale = std::get_if<Scale>(&op)) {
      merge_scale(fusion, graph, i, *scale);
    } else if (std::holds_alternative<Add>(op)) {
      merge_add(fusion, graph, i);
    }
  }
  fusion.finish();
}

}  // namespace upres
