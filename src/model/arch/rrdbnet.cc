// SPDX-License-Identifier: Apache-2.0
//
// RRDBNet, the generator of ESRGAN and Real-ESRGAN: residuals in residual dense blocks.
//
//   in -> [pixel-unshuffle] -> conv_first -+-> body.0 ... body.N -> conv_body -> + -> tail -> out
//                                          +----------------------------------->-+
//   body.i:    x -> rdb1 -> rdb2 -> rdb3 -> * 0.2 -> + x
//   rdb:       conv1 .. conv5, each over x and the results before it; conv5 * 0.2 + x
//   tail:      [nearest x2, conv_up1] ... [nearest x2, conv_upU], conv_hr, conv_last
//
// Each of the tail's U upsamplings, 0 to 4, enlarges by 2. BasicSR's networks have two: for a scale
// of 2 or 1 a pixel-unshuffle makes the input smaller first (basicsr/archs/rrdbnet_arch.py). Those
// of ESRGAN's first releases have as many as their scale needs, and may be for gray.
//
// ESRGAN+ adds to a dense block conv1x1, without biases, over x: its result is added to that of
// conv2, and that sum to the result of conv4, before others read them (ESRGANplus, block.py; the
// noise of its paper is for training only).
#include "base/error.h"
#include "model/arch/layers.h"
#include "model/arch/rrdbnet_names.h"
#include "model/architecture.h"

namespace upres {
namespace {

constexpr int kColours = 3;
constexpr int kGray = 1;
constexpr int kDenseConvs = 5;
constexpr int kDenseBlocks = 3;
constexpr int kMaxUpsamplings = 4;  // x16; larger ones have not been published
constexpr float kResidualScale = 0.2f;
constexpr float kSlope = 0.2f;

bool is_picture(int channels) {
  return channels == kColours || channels == kGray;
}

struct Config {
  int in_channels = 0;   ///< of conv_first
  int out_channels = 0;  ///< of conv_last
  int features = 0;
  int growth = 0;
  int blocks = 0;
  int upsamplings = 0;
  bool plus = false;  ///< ESRGAN+

  /// Factor of the pixel-unshuffle; 0 when these are no channels of pictures.
  int unshuffle() const {
    if (!is_picture(out_channels)) return 0;
    if (is_picture(in_channels)) return 1;
    for (const int factor : {2, 4}) {
      if (in_channels == out_channels * factor * factor) return factor;
    }
    return 0;
  }

  bool reads_gray() const { return in_channels == kGray * unshuffle() * unshuffle(); }
  bool makes_gray() const { return out_channels == kGray; }
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

std::string plus_conv_name(const std::string& dense_block) {
  return dense_block + ".conv1x1";
}

std::string upsampling_conv_name(int upsampling) {
  return fmt::format("conv_up{}", upsampling);
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
        if (config.plus && conv == 2) {
          layers.push_back({plus_conv_name(name), {config.growth, features, 1, 1}, false});
        }
      }
    }
  }
  layers.push_back(conv3x3("conv_body", features, features));
  for (int i = 1; i <= config.upsamplings; ++i) {
    layers.push_back(conv3x3(upsampling_conv_name(i), features, features));
  }
  layers.push_back(conv3x3("conv_hr", features, features));
  layers.push_back(conv3x3("conv_last", features, config.out_channels));
  return layers;
}

bool has_weights(const StateDict& weights, const std::string& layer) {
  return weights.find(layer + ".weight") != nullptr;
}

Config config_of(const StateDict& weights) {
  const auto first_dense_block = [](int block) { return dense_block_name(block_name(block), 1); };
  const auto first_conv = [&](int block) { return dense_conv_name(first_dense_block(block), 1); };
  Config config;
  config.in_channels = conv_size(weights, "conv_first", 1);
  config.out_channels = conv_size(weights, "conv_last", 0);
  config.features = conv_size(weights, "conv_first", 0);
  config.growth = conv_size(weights, first_conv(0), 0);
  while (has_weights(weights, first_conv(config.blocks))) ++config.blocks;
  while (has_weights(weights, upsampling_conv_name(config.upsamplings + 1))) ++config.upsamplings;
  config.plus = has_weights(weights, plus_conv_name(first_dense_block(0)));
  return config;
}

/// Why no network has this configuration, whose tensors are all there; empty where one has.
std::string fault_of(const Config& config) {
  if (config.features == 0 || config.growth == 0 || config.blocks == 0) {
    return "it has no features or no blocks";
  }
  if (config.unshuffle() == 0) {
    return fmt::format(
        "conv_first reads {} channels and conv_last makes {}, expected 3 or 1, of conv_first also "
        "4 or 16 times what conv_last makes",
        config.in_channels, config.out_channels);
  }
  if (config.upsamplings > kMaxUpsamplings) {
    return fmt::format("it has {} upsamplings, expected at most {}", config.upsamplings,
                       kMaxUpsamplings);
  }
  if (1 << config.upsamplings < config.unshuffle()) return "its result is smaller than the picture";
  return {};
}

std::string description(const Config& config) {
  std::string text = fmt::format("RRDBNet {} features, {} blocks, growth {}", config.features,
                                 config.blocks, config.growth);
  if (config.plus) text += ", ESRGAN+";
  if (config.reads_gray()) text += ", gray";
  if (config.reads_gray() != config.makes_gray()) {
    text += config.makes_gray() ? ", to gray" : " to colours";
  }
  return text;
}

class Builder {
 public:
  Builder(const StateDict& weights, const Config& config) : weights_(weights), config_(config) {}

  Graph build() {
    ValueId x = graph_.add_input(kColours);
    if (const int factor = config_.unshuffle(); factor > 1) {
      x = graph_.add("pixel_unshuffle", PixelUnshuffle{factor}, {x});
    }
    const ValueId first = conv_first(x);
    x = first;
    for (int block = 0; block < config_.blocks; ++block) x = residual_block(block_name(block), x);
    x = graph_.add("body.add", Add{}, {first, conv("conv_body", x)});
    for (int i = 1; i <= config_.upsamplings; ++i) {
      x = graph_.add(fmt::format("upsample{}", i), Upsample{2}, {x});
      x = active_conv(upsampling_conv_name(i), x);
    }
    x = active_conv("conv_hr", x);
    graph_.set_output(conv_last(x));
    return std::move(graph_);
  }

 private:
  ValueId conv_first(ValueId x) {
    Conv2d conv = conv2d(weights_, "conv_first");
    if (config_.reads_gray()) conv = over_luma(conv);
    return graph_.add("conv_first", std::move(conv), {x});
  }

  ValueId conv_last(ValueId x) {
    Conv2d conv = conv2d(weights_, "conv_last");
    if (config_.makes_gray()) conv = repeated_for_colours(conv);
    return graph_.add("conv_last", std::move(conv), {x});
  }

  ValueId residual_block(const std::string& name, ValueId x) {
    ValueId y = x;
    for (int i = 1; i <= kDenseBlocks; ++i) y = dense_block(dense_block_name(name, i), y);
    return add_scaled(name, y, x);
  }

  ValueId dense_block(const std::string& name, ValueId x) {
    std::vector<ValueId> parts = {x};
    for (int i = 1; i < kDenseConvs; ++i) {
      ValueId y = active_conv(dense_conv_name(name, i), concat(name, parts));
      if (config_.plus && i == 2) {
        y = graph_.add(name + ".plus2", Add{}, {y, conv(plus_conv_name(name), x)});
      }
      if (config_.plus && i == 4) y = graph_.add(name + ".plus4", Add{}, {y, parts[2]});
      parts.push_back(y);
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

std::optional<Mismatch> mismatch(const StateDict& weights) {
  const Config config = config_of(weights);
  if (auto found = compare(weights, layers_of(config))) return found;
  if (std::string fault = fault_of(config); !fault.empty()) return Mismatch{1, std::move(fault)};
  return std::nullopt;
}

Network build(const StateDict& weights, const Graph*) {
  const Config config = config_of(weights);
  return {description(config), Builder(weights, config).build()};
}

std::optional<std::vector<std::string>> layer_names(int convolutions, int slopes) {
  constexpr int kPerBlock = kDenseBlocks * kDenseConvs;
  constexpr int kOutside = 4;  // conv_first, conv_body, conv_hr, conv_last
  Config config;
  config.blocks = (convolutions - kOutside) / kPerBlock;
  config.upsamplings = (convolutions - kOutside) % kPerBlock;
  if (slopes != 0 || config.blocks <= 0 || config.upsamplings > kMaxUpsamplings) {
    return std::nullopt;
  }
  std::vector<std::string> names;
  for (const WeightedLayer& layer : layers_of(config)) names.push_back(layer.name);
  return names;
}

}  // namespace

const Architecture kRrdbNet = {"RRDBNet", with_basicsr_names, mismatch, build, layer_names};

}  // namespace upres
