// SPDX-License-Identifier: Apache-2.0
#include "model/arch/layers.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "base/error.h"

namespace upres {
namespace {

// The widest published networks have 256. Products of channels and a pixel-unshuffle's factors
// stay within an int.
constexpr int64_t kMaxSize = 1 << 15;

constexpr float kLuma[] = {0.299f, 0.587f, 0.114f};  // of red, green and blue, by BT.601

bool is_float(DType dtype) {
  return dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f32 || dtype == DType::f64;
}

std::vector<float> floats_of(const StateDict& weights, const std::string& name) {
  const Tensor& tensor = *weights.find(name);
  if (!is_float(tensor.dtype())) {
    fail(ErrorCode::model, "tensor {} is of {}, weights are floating point numbers", name,
         upres::name(tensor.dtype()));
  }
  std::vector<float> values = tensor.to_floats();
  if (!all_finite(values)) {
    fail(ErrorCode::model, "tensor {} holds a value that is not finite in single precision", name);
  }
  return values;
}

/// Counts the tensors that are as expected and keeps the first reason why one is not.
class Comparison {
 public:
  explicit Comparison(const StateDict& weights) : weights_(weights) {}

  void expect(const std::string& name, const Shape& shape) {
    names_.insert(name);
    const Tensor* tensor = weights_.find(name);
    if (!tensor) {
      note(fmt::format("no tensor {}", name));
    } else if (tensor->shape() != shape) {
      note(fmt::format("tensor {} is {}, expected {}", name, to_string(tensor->shape()),
                       to_string(shape)));
    } else {
      ++matched_;
    }
  }

  std::optional<Mismatch> result() {
    for (const auto& [name, tensor] : weights_) {
      if (!names_.contains(name)) note(fmt::format("unexpected tensor {}", name));
    }
    if (reason_.empty()) return std::nullopt;
    return Mismatch{double(matched_) / double(std::max(names_.size(), weights_.size())), reason_};
  }

 private:
  void note(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
  }

  const StateDict& weights_;
  std::unordered_set<std::string> names_;
  size_t matched_ = 0;
  std::string reason_;
};

}  // namespace

WeightedLayer conv3x3(std::string name, int in_channels, int out_channels) {
  return {.name = std::move(name), .weight = {out_channels, in_channels, 3, 3}};
}

std::optional<Mismatch> compare(const StateDict& weights,
                                const std::vector<WeightedLayer>& layers) {
  Comparison comparison(weights);
  for (const WeightedLayer& layer : layers) {
    comparison.expect(layer.name + ".weight", layer.weight);
    const bool is_convolution = layer.weight.size() == 4;
    if (is_convolution && layer.has_biases) {
      comparison.expect(layer.name + ".bias", {layer.weight[0]});
    }
  }
  return comparison.result();
}

int conv_size(const StateDict& weights, const std::string& name, size_t axis) {
  const Tensor* tensor = weights.find(name + ".weight");
  if (!tensor || tensor->shape().size() != 4) return 0;
  const int64_t size = tensor->shape()[axis];
  return size <= kMaxSize ? int(size) : 0;
}

Conv2d conv2d(const StateDict& weights, const std::string& name) {
  const Shape& shape = weights.find(name + ".weight")->shape();
  Conv2d conv;
  conv.out_channels = int(shape[0]);
  conv.in_channels = int(shape[1]);
  conv.kernel = int(shape[2]);
  conv.weights = std::make_shared<const std::vector<float>>(floats_of(weights, name + ".weight"));
  conv.biases = std::make_shared<const std::vector<float>>(
      weights.find(name + ".bias") ? floats_of(weights, name + ".bias")
                                   : std::vector<float>(size_t(conv.out_channels)));
  return conv;
}

Activation prelu(const StateDict& weights, const std::string& name) {
  return {Activation::Kind::prelu, floats_of(weights, name + ".weight")};
}

Conv2d over_luma(const Conv2d& conv) {
  const size_t per_output = conv.weights->size() / size_t(conv.out_channels);
  std::vector<float> weights;
  weights.reserve(conv.weights->size() * std::size(kLuma));
  for (auto output = conv.weights->begin(); output != conv.weights->end(); output += per_output) {
    for (const float share : kLuma) {
      std::transform(output, output + per_output, std::back_inserter(weights),
                     [share](float weight) { return share * weight; });
    }
  }
  Conv2d result = conv;
  result.in_channels *= int(std::size(kLuma));
  result.weights = std::make_shared<const std::vector<float>>(std::move(weights));
  return result;
}

Conv2d repeated_for_colours(const Conv2d& conv) {
  const auto repeated = [](const Weights& once) {
    std::vector<float> values;
    for (size_t i = 0; i < std::size(kLuma); ++i) {
      values.insert(values.end(), once->begin(), once->end());
    }
    return std::make_shared<const std::vector<float>>(std::move(values));
  };
  Conv2d result = conv;
  result.out_channels *= int(std::size(kLuma));
  result.weights = repeated(conv.weights);
  result.biases = repeated(conv.biases);
  return result;
}

}  // namespace upres
