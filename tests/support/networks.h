// SPDX-License-Identifier: Apache-2.0
// Small networks with random weights, pictures of random samples: what tests run on.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "frame/frame.h"
#include "graph/graph.h"

namespace upres::test {

/// Random numbers of a fixed seed: the same on every run and machine.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  float uniform(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(engine_);
  }
  Weights weights(int count, float magnitude) {
    auto values = std::make_shared<std::vector<float>>(size_t(count));
    for (float& value : *values) value = uniform(-magnitude, magnitude);
    return values;
  }

 private:
  std::mt19937 engine_;
};

/// A convolution whose outputs are about as large as its inputs.
inline Conv2d random_conv(Random& random, int in, int out, int kernel = 3) {
  const float magnitude = 1.7f / std::sqrt(float(in * kernel * kernel));
  return {.in_channels = in,
          .out_channels = out,
          .kernel = kernel,
          .weights = random.weights(out * in * kernel * kernel, magnitude),
          .biases = random.weights(out, 0.1f),
          .epilogue = {}};
}

inline Activation leaky_relu(float slope) {
  return {Activation::Kind::leaky_relu, {slope}};
}

inline Activation random_prelu(Random& random, int channels) {
  return {Activation::Kind::prelu, *random.weights(channels, 0.5f)};
}

/// SRVGGNetCompact with PReLU, its result resized.
inline Graph srvgg(Random& random, int features, int convolutions, int scale,
                   Resize resize = {1, 1}) {
  Graph graph;
  const ValueId in = graph.add_input(3);
  ValueId x = in;
  for (int i = 0; i <= convolutions; ++i) {
    const std::string name = "body." + std::to_string(2 * i);
    x = graph.add(name, random_conv(random, i == 0 ? 3 : features, features), {x});
    x = graph.add(name + ".act", Activate{random_prelu(random, features)}, {x});
  }
  x = graph.add("last", random_conv(random, features, 3 * scale * scale), {x});
  x = graph.add("shuffle", PixelShuffle{scale}, {x});
  const ValueId base = graph.add("base", Upsample{scale}, {in});
  x = graph.add("out", Add{}, {x, base});
  if (resize.denominator != 1) x = graph.add("resize", resize, {x});
  graph.set_output(x);
  return graph;
}

/// RRDBNet; the picture is unshuffled by `unshuffle` first, so the scale is 4 / unshuffle. `plus`:
/// with the sums of ESRGAN+.
inline Graph rrdbnet(Random& random, int features, int growth, int blocks, int unshuffle = 1,
                     bool plus = false) {
  Graph graph;
  ValueId x = graph.add_input(3);
  if (unshuffle > 1) x = graph.add("unshuffle", PixelUnshuffle{unshuffle}, {x});
  const auto conv = [&](const std::string& name, int in, int out, ValueId value) {
    return graph.add(name, random_conv(random, in, out), {value});
  };
  const auto conv_lrelu = [&](const std::string& name, int in, int out, ValueId value) {
    return graph.add(name + ".act", Activate{leaky_relu(0.2f)}, {conv(name, in, out, value)});
  };
  const auto scaled_sum = [&](const std::string& name, ValueId value, ValueId skip) {
    return graph.add(name + ".add", Add{},
                     {graph.add(name + ".scale", Scale{0.2f}, {value}), skip});
  };
  const ValueId first = x = conv("conv_first", 3 * unshuffle * unshuffle, features, x);
  for (int block = 0; block < blocks; ++block) {
    const ValueId block_in = x;
    for (int dense = 0; dense < 3; ++dense) {
      const std::string name = "body." + std::to_string(block) + ".rdb" + std::to_string(dense + 1);
      std::vector<ValueId> stack{x};
      for (int i = 0; i < 4; ++i) {
        const ValueId in = i == 0 ? x : graph.add(name + ".cat", Concat{}, stack);
        ValueId y = conv_lrelu(name, features + i * growth, growth, in);
        if (plus && i == 1) {
          const Conv2d extra = random_conv(random, features, growth, 1);
          y = graph.add(name + ".plus2", Add{}, {y, graph.add(name + ".1x1", extra, {x})});
        }
        if (plus && i == 3) y = graph.add(name + ".plus4", Add{}, {y, stack[2]});
        stack.push_back(y);
      }
      const ValueId all = graph.add(name + ".cat", Concat{}, stack);
      x = scaled_sum(name, conv(name + ".conv5", features + 4 * growth, features, all), x);
    }
    x = scaled_sum("body." + std::to_string(block), x, block_in);
  }
  x = graph.add("skip", Add{}, {first, conv("conv_body", features, features, x)});
  for (const char* name : {"conv_up1", "conv_up2"}) {
    x = conv_lrelu(name, features, features, graph.add(name, Upsample{2}, {x}));
  }
  x = conv_lrelu("conv_hr", features, features, x);
  graph.set_output(conv("conv_last", features, 3, x));
  return graph;
}

/// A network with values of some 1e6, beyond half precision's 65504, whose result is within it.
inline Graph overflowing(Random& random) {
  const auto scaled = [&](int in, int out, float factor) {
    Conv2d conv = random_conv(random, in, out);
    auto weights = std::make_shared<std::vector<float>>(*conv.weights);
    for (float& weight : *weights) weight *= factor;
    conv.weights = weights;
    conv.biases = std::make_shared<std::vector<float>>(size_t(out), 0.0f);
    return conv;
  };
  Graph graph;
  ValueId x = graph.add("up", scaled(3, 64, 1000), {graph.add_input(3)});
  x = graph.add("higher", scaled(64, 64, 1000), {x});
  x = graph.add("down", scaled(64, 64, 1e-3f), {x});
  graph.set_output(graph.add("last", scaled(64, 3, 1e-3f), {x}));
  return graph;
}

/// A picture of random samples.
inline Frame random_frame(Random& random, Size size, SampleType type, int channels) {
  Frame frame(size, type, channels);
  const size_t count = frame.total_bytes() / size_bytes(type);
  for (size_t i = 0; i < count; ++i) {
    const float value = random.uniform(0, 1);
    switch (type) {
      case SampleType::u8:
        reinterpret_cast<uint8_t*>(frame.data())[i] = uint8_t(value * 255.99f);
        break;
      case SampleType::u16:
        reinterpret_cast<uint16_t*>(frame.data())[i] = uint16_t(value * 65535.9f);
        break;
      case SampleType::f32:
        reinterpret_cast<float*>(frame.data())[i] = value;
        break;
    }
  }
  return frame;
}

}  // namespace upres::test
