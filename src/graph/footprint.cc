// SPDX-License-Identifier: Apache-2.0
#include "graph/footprint.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "base/error.h"
#include "graph/arena.h"
#include "graph/resize_taps.h"

namespace upres {
namespace {

int floor_div(int a, int b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

Interval hull(const std::optional<Interval>& a, const Interval& b) {
  return a ? Interval{std::min(a->first, b.first), std::max(a->last, b.last)} : b;
}

/// The pixels of its inputs that an operator needs for `out` pixels of its output.
struct NeededInput {
  Interval out;

  Interval operator()(const Conv2d& conv) const {
    const int reach = conv.kernel / 2;
    const Interval own = divided(conv.shuffle);
    return {floor_div(own.first - reach, conv.enlarge), floor_div(own.last + reach, conv.enlarge)};
  }
  Interval operator()(const Activate&) const { return out; }
  Interval operator()(const Add&) const { return out; }
  Interval operator()(const Scale&) const { return out; }
  Interval operator()(const Concat&) const { return out; }
  Interval operator()(const Upsample& op) const { return divided(op.factor); }
  Interval operator()(const PixelShuffle& op) const { return divided(op.factor); }
  Interval operator()(const PixelUnshuffle& op) const {
    return {out.first * op.factor, out.last * op.factor + op.factor - 1};
  }
  Interval operator()(const Resize& op) const {
    const int taps = int(ResizeTaps{}.weights.size());
    return {resize_taps(op, out.first).first, resize_taps(op, out.last).first + taps - 1};
  }

  Interval divided(int factor) const {
    return {floor_div(out.first, factor), floor_div(out.last, factor)};
  }
};

}  // namespace

std::vector<Interval> needed_inputs(const Node& node, Interval out) {
  std::vector<Interval> needed(node.inputs.size(), std::visit(NeededInput{out}, node.op));
  if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
    for (const Addend& addend : conv->epilogue.addends) {
      needed.push_back(NeededInput{out}.divided(addend.enlarge));
    }
  }
  return needed;
}

Footprint footprint(const Graph& graph) {
  Footprint result;
  for (const Value& value : graph.values()) {
    result.alignment = std::lcm(result.alignment, value.scale.denominator);
  }

  // Backwards from the result of one aligned cell of the input. Sides are independent and both
  // axes alike, so one dimension is enough. Values are followed by their storage: a place in a
  // wider one is written and read with it.
  std::vector<std::optional<Interval>> needed(graph.values().size());
  const auto need = [&](ValueId id, Interval interval) {
    auto& entry = needed[size_t(graph.value(id).storage)];
    entry = hull(entry, interval);
  };
  need(graph.output(), {0, result.alignment * graph.scale() - 1});
  const auto& nodes = graph.nodes();
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
    const auto& out = needed[size_t(graph.value(node->output).storage)];
    if (!out) continue;  // nothing depends on it
    const std::vector<Interval> inputs = needed_inputs(*node, *out);
    const std::vector<ValueId> values = reads(*node);
    for (size_t i = 0; i < values.size(); ++i) need(values[i], inputs[i]);
  }
  const auto& input = needed[size_t(graph.input())];
  UPRES_ASSERT(input, "the output of a verified graph depends on its input");
  const int reach = std::max(-input->first, input->last - (result.alignment - 1));
  result.halo = (reach + result.alignment - 1) / result.alignment * result.alignment;
  return result;
}

Size padded(Size read, int alignment) {
  const auto round_up = [&](int side) { return (side + alignment - 1) / alignment * alignment; };
  return {round_up(read.width), round_up(read.height)};
}

double flops_per_pixel(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<Conv2d>(&node.op);
  if (!conv) return 0;
  const Ratio scale = graph.value(node.output).scale;
  const double pixels = double(scale.numerator) / scale.denominator / conv->shuffle;
  const double weights =
      double(conv->in_channels) * conv->out_channels * conv->kernel * conv->kernel;
  return 2.0 * weights * pixels * pixels;
}

double flops_per_pixel(const Graph& graph) {
  double flops = 0;
  for (const Node& node : graph.nodes()) flops += flops_per_pixel(graph, node);
  return flops;
}

// Engines keep whole vectors of channels, for which the three of a large result take more than
// their share.
constexpr int kVector = 8;

double activation_bytes_per_pixel(const Graph& graph) {
  // Large enough that rounding to whole cells and cache lines does not show.
  const int side = 64 * footprint(graph).alignment;
  const ArenaPlan plan = plan_arena(graph, [&](ValueId id) {
    const Size size = graph.size_of(id, {side, side});
    const int channels = (graph.value(id).channels + kVector - 1) / kVector * kVector;
    return size_t(channels) * size_t(size.width) * size_t(size.height) * sizeof(float);
  });
  return double(plan.size_bytes) / (double(side) * side);
}

int64_t parameter_count(const Graph& graph) {
  size_t count = 0;
  for (const Node& node : graph.nodes()) {
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
      count += conv->weights->size() + conv->biases->size();
      if (conv->epilogue.activation.kind == Activation::Kind::prelu) {
        count += conv->epilogue.activation.slopes.size();
      }
    } else if (const auto* op = std::get_if<Activate>(&node.op)) {
      if (op->activation.kind == Activation::Kind::prelu) count += op->activation.slopes.size();
    }
  }
  return int64_t(count);
}

}  // namespace upres
