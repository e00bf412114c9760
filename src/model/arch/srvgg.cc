// SPDX-License-Identifier: Apache-2.0
//
// SRVGGNetCompact, the small networks of Real-ESRGAN: a chain of convolutions and activations at
// the input's size, and one pixel-shuffle; what it computes is added to the enlarged input
// (basicsr/archs/srvgg_arch.py).
//
//   in -+-> body.0 conv -> body.1 act -> ... -> body.2N conv -> pixel-shuffle -> + -> out
//       +-> nearest, enlarged -------------------------------------------------->-+
//
// PReLU has its slopes under body.1, body.3, ...; ReLU and LeakyReLU leave these numbers out.
//
// ncnn's files of animevideov3 for scales of 2 and 3 hold the network for 4, and resize its
// result by a last layer (Interp of type 3 by 0.5 and 0.75).
#include "base/error.h"
#include "model/arch/layers.h"
#include "model/architecture.h"

namespace upres {
namespace {

constexpr int kColours = 3;

struct Config {
  int features = 0;
  int convolutions = 0;  ///< all of them: two more than its makers count
  int out_channels = 0;  ///< of the last convolution
  bool slopes = false;   ///< PReLU

  /// 0 when the last convolution does not make square blocks of colour pixels.
  int scale() const {
    for (int scale = 1; kColours * scale * scale <= out_channels; ++scale) {
      if (kColours * scale * scale == out_channels) return scale;
    }
    return 0;
  }
};

std::string conv_name(int conv) {
  return fmt::format("body.{}", 2 * conv);
}

/// Of the activation that follows a convolution.
std::string activation_name(int conv) {
  return fmt::format("body.{}", 2 * conv + 1);
}

/// The layers in the order they run.
std::vector<WeightedLayer> layers_of(const Config& config) {
  std::vector<WeightedLayer> layers;
  const int last = config.convolutions - 1;
  for (int i = 0; i < last; ++i) {
    layers.push_back(conv3x3(conv_name(i), i == 0 ? kColours : config.features, config.features));
    if (config.slopes) layers.push_back({activation_name(i), {config.features}});
  }
  layers.push_back(conv3x3(conv_name(last), config.features, config.out_channels));
  return layers;
}

Config config_of(const StateDict& weights) {
  Config config;
  config.features = conv_size(weights, conv_name(0), 0);
  while (weights.find(conv_name(config.convolutions) + ".weight")) ++config.convolutions;
  if (config.convolutions < 2) return config;
  config.out_channels = conv_size(weights, conv_name(config.convolutions - 1), 0);
  config.slopes = weights.find(activation_name(0) + ".weight") != nullptr;
  return config;
}

/// ReLU or LeakyReLU: neither leaves a trace among the weights. A graph tells; without one it is
/// ReLU, for networks with LeakyReLU have not been published.
Activation activation_without_weights(const Graph* graph) {
  if (graph) {
    for (const Node& node : graph->nodes()) {
      if (const auto* op = std::get_if<Activate>(&node.op)) return op->activation;
    }
  }
  return {Activation::Kind::relu, {0.0f}};
}

/// What resizes the result, of a graph that ends so. Nothing where the network's scale would
/// be no whole number.
std::optional<Resize> resize_at_end(const Graph* graph, int scale) {
  if (!graph || graph->nodes().empty()) return std::nullopt;
  const auto* op = std::get_if<Resize>(&graph->nodes().back().op);
  const bool whole = op && scale * op->numerator % op->denominator == 0;
  return whole ? std::optional(*op) : std::nullopt;
}

/// As PyTorch calls it.
std::string_view class_name(const Activation& activation) {
  switch (activation.kind) {
    case Activation::Kind::prelu:
      return "PReLU";
    case Activation::Kind::leaky_relu:
      return "LeakyReLU";
    default:
      return "ReLU";
  }
}

std::optional<Mismatch> mismatch(const StateDict& weights) {
  const Config config = config_of(weights);
  if (config.convolutions < 2) {
    return Mismatch{0, fmt::format("no tensor {}.weight", conv_name(config.convolutions))};
  }
  if (auto found = compare(weights, layers_of(config))) return found;
  if (config.scale() == 0 || config.features == 0) {
    return Mismatch{1, fmt::format("{} features and {} outputs, which must be 3 x a square number",
                                   config.features, config.out_channels)};
  }
  return std::nullopt;
}

Network build(const StateDict& weights, const Graph* imported) {
  const Config config = config_of(weights);
  const int scale = config.scale();
  const int last = config.convolutions - 1;
  Activation activation = activation_without_weights(imported);
  Graph graph;
  const ValueId in = graph.add_input(kColours);
  ValueId x = in;
  for (int i = 0; i < last; ++i) {
    x = graph.add(conv_name(i), conv2d(weights, conv_name(i)), {x});
    if (config.slopes) activation = prelu(weights, activation_name(i));
    x = graph.add(activation_name(i), Activate{activation}, {x});
  }
  x = graph.add(conv_name(last), conv2d(weights, conv_name(last)), {x});
  x = graph.add("pixel_shuffle", PixelShuffle{scale}, {x});
  const ValueId enlarged = graph.add("upsample", Upsample{scale}, {in});
  x = graph.add("add", Add{}, {x, enlarged});
  std::string description =
      fmt::format("SRVGGNetCompact {} features, {} convolutions, {}", config.features,
                  config.convolutions - 2, class_name(activation));
  if (const auto resize = resize_at_end(imported, scale)) {
    x = graph.add("resize", *resize, {x});
    description +=
        fmt::format(", x{} resized by {}/{}", scale, resize->numerator, resize->denominator);
  }
  graph.set_output(x);
  return {std::move(description), std::move(graph)};
}

std::optional<std::vector<std::string>> layer_names(int convolutions, int slopes) {
  if (convolutions < 2 || (slopes != 0 && slopes != convolutions - 1)) return std::nullopt;
  Config config;
  config.convolutions = convolutions;
  config.slopes = slopes != 0;
  std::vector<std::string> names;
  for (const WeightedLayer& layer : layers_of(config)) names.push_back(layer.name);
  return names;
}

}  // namespace

const Architecture kSrvggNetCompact = {"SRVGGNetCompact", nullptr, mismatch, build, layer_names};

}  // namespace upres
