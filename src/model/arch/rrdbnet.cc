// SPDX-License-Identifier: Apache-2.0
//
// RRDBNet, the generator of ESRGAN and Real-ESRGAN: residuals in residual dense blocks.
//
//   in -> [pixel-unshuffle] -> conv_first -+-> body.0 ... body.N -> conv_body -> + -> tail -> out
//                                          +----------------------------------->-+
//   body.i:    x -> rdb1 -> rdb2 -> rdb3 -> * 0.2 -> + x
//   rdb:       conv1 .. conv5, each over x and the results before it; conv5 * 0.2 + x
//   tail:      nearest x2, conv_up1, nearest x2, conv_up2, conv_hr, conv_last
//
// The tail always enlarges by 4. For a scale of 2 or 1 a pixel-unshuffle makes the input smaller
// first (basicsr/archs/rrdbnet_arch.py).
#include "base/error.h"
#include "model/arch/layers.h"
#include "model/arch/rrdbnet_names.h"
#include "model/architecture.h"

namespace upres {
namespace {

constexpr int kColours = 3;
constexpr int kDenseConvs = 5;
constexpr int kDenseBlocks = 3;
constexpr float kResidualScale = 0.2f;
constexpr float kSlope = 0.2f;

struct Config {
  int in_channels = 0;  ///< of conv_first
  int features = 0;
  int growth = 0;
  int blocks = 0;

  /// Factor of the pixel-unshuffle; 0 when conv_first does not read three colours.
  int unshuffle() const {
    for (const int factor : {1, 2, 4}) {
      if (in_channels == kColours * factor * factor) return factor;
    }
    return 0;
  }
};

std::string block_name(int block) {
  return fmt::format("body.{}", block);
}

std::string dense_block_name(const std::string& block, int dense_block) {
  return fmt::format("{}.rdb{}", block, dense_block);
}

std::string dense_conv_name(const std::string& dense_block, int conv) {
  return fmt::format("{}.conv{}", dense_block, conv);
}

/// The layers in the order they run.
std::vector<WeightedLayer> layers_of(const Config& config) {
  const int features = config.features;
  std::vector<WeightedLayer> layers = {conv3x3("conv_first", config.in_channels, features)};
  for (int block = 0; block < config.blocks; ++block) {
    for (int dense = 1; dense <= kDenseBlocks; ++dense) {
      const std::string name = dense_block_name(block_name(block), dense);
      for (int conv = 1; conv <= kDenseConvs; ++conv) {
        layers.push_back(conv3x3(dense_conv_name(name, conv), features + (conv - 1) * config.growth,
                                 conv < kDenseConvs ? config.growth : features));
      }
    }
  }
  for (const char* name : {"conv_body", "conv_up1", "conv_up2", "conv_hr"}) {
    layers.push_back(conv3x3(name, features, features));
  }
  layers.push_back(conv3x3("conv_last", features, kColours));
  return layers;
}

Config config_of(const StateDict& weights) {
  Config config;
  config.in_channels = conv_size(weights, "conv_first", 1);
  config.features = conv_size(weights, "conv_first", 0);
  const auto first_conv = [](int block) {
    return dense_conv_name(dense_block_name(block_name(block), 1), 1);
  };
  config.growth = conv_size(weights, first_conv(0), 0);
  while (weights.find(first_conv(config.blocks) + ".weight")) ++config.blocks;
  return config;
}

class Builder {
 public:
  Builder(const StateDict& weights, const Config& config) : weights_(weights), config_(config) {}

  Graph build() {
    ValueId x = graph_.add_input(kColours);
    if (const int factor = config_.unshuffle(); factor > 1) {
      x = graph_.add("pixel_unshuffle", PixelUnshuffle{factor}, {x});
    }
    const ValueId first = conv("conv_first", x);
    x = first;
    for (int block = 0; block < config_.blocks; ++block) x = residual_block(block_name(block), x);
    x = graph_.add("body.add", Add{}, {first, conv("conv_body", x)});
    x = active_conv("conv_up1", graph_.add("upsample1", Upsample{2}, {x}));
    x = active_conv("conv_up2", graph_.add("upsample2", Upsample{2}, {x}));
    x = active_conv("conv_hr", x);
    graph_.set_output(conv("conv_last", x));
    return std::move(graph_);
  }

 private:
  ValueId residual_block(const std::string& name, ValueId x) {
    ValueId y = x;
    for (int i = 1; i <= kDenseBlocks; ++i) y = dense_block(dense_block_name(name, i), y);
    return add_scaled(name, y, x);
  }

  ValueId dense_block(const std::string& name, ValueId x) {
    std::vector<ValueId> parts = {x};
    for (int i = 1; i < kDenseConvs; ++i) {
      parts.push_back(active_conv(dense_conv_name(name, i), concat(name, parts)));
    }
    return add_scaled(name, conv(dense_conv_name(name, kDenseConvs), concat(name, parts)), x);
  }

  ValueId concat(const std::string& name, const std::vector<ValueId>& parts) {
    if (parts.size() == 1) return parts[0];
    return graph_.add(fmt::format("{}.concat{}", name, parts.size()), Concat{}, parts);
  }

  /// y * 0.2 + x
  ValueId add_scaled(const std::string& name, ValueId y, ValueId x) {
    y = graph_.add(name + ".scale", Scale{kResidualScale}, {y});
    return graph_.add(name + ".add", Add{}, {y, x});
  }

  ValueId conv(const std::string& name, ValueId x) {
    return graph_.add(name, conv2d(weights_, name), {x});
  }

  ValueId active_conv(const std::string& name, ValueId x) {
    const Activation activation{Activation::Kind::leaky_relu, {kSlope}};
    return graph_.add(name + ".lrelu", Activate{activation}, {conv(name, x)});
  }

  const StateDict& weights_;
  Config config_;
  Graph graph_;
};

std::variant<Network, Mismatch> build(const StateDict& weights, const Graph*) {
  const Config config = config_of(weights);
  if (auto mismatch = compare(weights, layers_of(config))) return std::move(*mismatch);
  if (config.features == 0 || config.growth == 0 || config.blocks == 0) {
    return Mismatch{0, "it has no features or no blocks"};
  }
  if (config.unshuffle() == 0) {
    return Mismatch{
        1, fmt::format("conv_first reads {} channels, expected 3, 12 or 48", config.in_channels)};
  }
  return Network{fmt::format("RRDBNet {} features, {} blocks, growth {}", config.features,
                             config.blocks, config.growth),
                 Builder(weights, config).build()};
}

std::optional<std::vector<std::string>> layer_names(int convolutions, int slopes) {
  constexpr int kPerBlock = kDenseBlocks * kDenseConvs;
  constexpr int kOutside = 6;  // conv_first and from conv_body on
  const int in_blocks = convolutions - kOutside;
  if (slopes != 0 || in_blocks <= 0 || in_blocks % kPerBlock != 0) return std::nullopt;
  Config config;
  config.blocks = in_blocks / kPerBlock;
  std::vector<std::string> names;
  for (const WeightedLayer& layer : layers_of(config)) names.push_back(layer.name);
  return names;
}

}  // namespace

const Architecture kRrdbNet = {"RRDBNet", with_basicsr_names, build, layer_names};

}  // namespace upres
