// SPDX-License-Identifier: Apache-2.0
//
// A .bin file holds the weights of the layers that have some, in the order of the .param file,
// without names. The numbered parameters are those of ncnn's layer classes (src/layer/*.cpp).
#include "model/ncnn.h"

#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "model/architecture.h"
#include "model/cursor.h"
#include "model/families.h"
#include "model/imported.h"
#include "model/ncnn_param.h"

namespace upres {
namespace {

// Tags before the weights of a convolution (ncnn's modelbin.cpp).
constexpr uint32_t kTagF32 = 0;
constexpr uint32_t kTagF16 = 0x01306B47;
constexpr uint32_t kTagInt8 = 0x000D4B38;
constexpr uint32_t kTagRawF32 = 0x0002C056;  // of layers that may have been int8

// Networks are for colour pictures; .param files rarely say so, their Input layers have no size.
constexpr int kInputChannels = 3;

// Far beyond any network; see also imported.h.
constexpr size_t kMaxInputs = 1024;
constexpr int kMaxFactor = 16;

/// A convolution's weights: a tag that tells their type, then the elements.
Tensor read_tagged(Cursor& bin, const Shape& shape, const NcnnLayer& layer) {
  const auto tag = bin.read<uint32_t>();
  if (tag == kTagF32 || tag == kTagRawF32) return read_tensor(bin, DType::f32, shape);
  if (tag == kTagF16) {
    Tensor weights = read_tensor(bin, DType::f16, shape);
    bin.take(weights.bytes().size() % 4);  // they end at a multiple of 4
    return weights;
  }
  if (tag == kTagInt8) {
    layer.refuse("has int8 weights, which upres does not run; use the model in fp16 or fp32");
  }
  // ncnn takes any other tag for weights that are bytes into a table of 256 numbers.
  layer.refuse(
      fmt::format("has weights quantised by a table (tag 0x{:08X}), which upres does not read; use "
                  "the model in "
                  "fp16 or fp32",
                  tag));
}

Activation leaky_relu(float slope) {
  return {slope == 0 ? Activation::Kind::relu : Activation::Kind::leaky_relu, {slope}};
}

/// Turns layers into nodes of our graph, one after the other.
class Importer {
 public:
  explicit Importer(std::span<const std::byte> bin) : bin_(bin, "the .bin file") {}

  void import(NcnnLayer& layer) {
    const Operator& op = find_operator(layer);
    if (layer.inputs.size() < op.least_inputs || layer.inputs.size() > kMaxInputs) {
      layer.refuse(fmt::format("has {} inputs", layer.inputs.size()));
    }
    std::vector<ValueId> inputs;
    for (const std::string& blob : layer.inputs) inputs.push_back(consume(blob, layer));
    const ValueId output = (this->*op.import)(layer, inputs);
    layer.refuse_other_parameters();
    for (const std::string& blob : layer.outputs) produce(blob, output, layer);
  }

  NcnnNetwork finish() {
    if (bin_.remaining() > 0) {
      fail(ErrorCode::model,
           "{} bytes of the .bin file belong to no layer of the .param file; are they of one "
           "model?",
           bin_.remaining());
    }
    if (unread_.size() != 1) {
      fail(ErrorCode::model, "the network has {} outputs, upres runs networks of one",
           unread_.size());
    }
    network_.graph.set_output(values_.at(*unread_.begin()));
    return std::move(network_);
  }

 private:
  using Inputs = const std::vector<ValueId>&;

  struct Operator {
    std::string_view type;
    size_t least_inputs;
    ValueId (Importer::*import)(NcnnLayer& layer, Inputs inputs);
  };

  /// The operators that we run: one line each. Their functions tell what the parameters mean.
  static const Operator& find_operator(const NcnnLayer& layer) {
    static constexpr Operator kOperators[] = {
        {"Input", 0, &Importer::input},
        {"Split", 1, &Importer::split},
        {"Convolution", 1, &Importer::convolution},
        {"ReLU", 1, &Importer::relu},
        {"PReLU", 1, &Importer::prelu},
        {"Concat", 1, &Importer::concat},
        {"BinaryOp", 1, &Importer::binary_op},
        {"Eltwise", 1, &Importer::eltwise},
        {"Interp", 1, &Importer::interp},
        {"PixelShuffle", 1, &Importer::pixel_shuffle},
        {"Reorg", 1, &Importer::pixel_unshuffle},
    };
    for (const Operator& op : kOperators) {
      if (op.type == layer.type) return op;
    }
    layer.refuse("is an operator that upres does not run");
  }

  ValueId input(NcnnLayer& layer, Inputs) {
    if (!network_.graph.values().empty())
      layer.refuse("is a second input, upres runs networks of one");
    layer.integer(0, 0);  // width and height of an example
    layer.integer(1, 0);
    layer.expect("channels", 2, kInputChannels, kInputChannels);
    return network_.graph.add_input(kInputChannels);
  }

  ValueId split(NcnnLayer&, Inputs inputs) { return inputs[0]; }

  ValueId convolution(NcnnLayer& layer, Inputs inputs) {
    const int channels = channels_of(inputs[0]);
    const int outputs = layer.integer(0, 0);
    const int kernel = layer.integer(1, 0);
    layer.expect("a height of the kernel of", 11, kernel, kernel);
    for (const int key : {2, 12}) layer.expect("dilation", key, 1, 1);
    for (const int key : {3, 13}) layer.expect("stride", key, 1, 1);
    layer.expect("padding", 4, kernel / 2, 0);  // left; the others are the same unless given
    for (const int key : {14, 15, 16}) layer.expect("padding", key, kernel / 2, kernel / 2);
    layer.expect("biases", 5, 1, 0);
    const Shape shape{outputs, channels, kernel, kernel};
    const int weights = layer.integer(6, 0);
    if (weights <= 0 || element_count(shape) != weights) {
      layer.refuse(fmt::format("has {} weights, which are not {}", weights, to_string(shape)));
    }
    add_weights(layer, "weight", read_tagged(bin_, shape, layer));
    add_weights(layer, "bias", read_tensor(bin_, DType::f32, {outputs}));
    Conv2d conv;
    conv.in_channels = channels;
    conv.out_channels = outputs;
    conv.kernel = kernel;
    return fused_activation(layer, add(layer, std::move(conv), inputs));
  }

  ValueId fused_activation(NcnnLayer& layer, ValueId sums) {
    const int kind = layer.integer(9, 0);
    const std::vector<float> parameters = layer.reals(10);
    if (kind == 0) return sums;
    if (kind == 1) return add(layer, Activate{leaky_relu(0)}, {sums});
    if (kind == 2 && parameters.size() == 1) {
      return add(layer, Activate{leaky_relu(parameters[0])}, {sums});
    }
    layer.refuse(fmt::format("has activation {}, upres runs 1 (ReLU) and 2 (leaky ReLU)", kind));
  }

  ValueId relu(NcnnLayer& layer, Inputs inputs) {
    return add(layer, Activate{leaky_relu(layer.real(0, 0))}, inputs);
  }

  ValueId prelu(NcnnLayer& layer, Inputs inputs) {
    const int channels = channels_of(inputs[0]);
    layer.expect("a number of slopes of", 0, channels, 0);
    const Tensor slopes = read_tensor(bin_, DType::f32, {channels});
    add_weights(layer, "weight", slopes);
    return add(layer, Activate{{Activation::Kind::prelu, slopes.to_floats()}}, inputs);
  }

  ValueId concat(NcnnLayer& layer, Inputs inputs) {
    layer.expect("axis", 0, 0, 0);  // channels
    return add(layer, Concat{}, inputs);
  }

  ValueId binary_op(NcnnLayer& layer, Inputs inputs) {
    const int operation = layer.integer(0, 0);
    const bool with_number = layer.integer(1, 0) != 0;
    const float number = layer.real(2, 0);
    if (operation == 0 && !with_number) return add(layer, Add{}, inputs);
    if (operation == 2 && with_number) return scaled(layer, inputs[0], number);
    layer.refuse("is neither a sum of two values nor a product with a number");
  }

  ValueId eltwise(NcnnLayer& layer, Inputs inputs) {
    layer.expect("operation", 0, 1, 0);  // sum
    std::vector<float> factors = layer.reals(1);
    if (factors.empty()) factors.assign(inputs.size(), 1.0f);
    if (factors.size() != inputs.size()) layer.refuse("has another number of factors than inputs");
    ValueId sum = scaled(layer, inputs[0], factors[0]);
    for (size_t i = 1; i < inputs.size(); ++i) {
      sum = add(layer, Add{}, {sum, scaled(layer, inputs[i], factors[i])});
    }
    return sum;
  }

  ValueId scaled(const NcnnLayer& layer, ValueId value, float factor) {
    return factor == 1.0f ? value : add(layer, Scale{factor}, {value});
  }

  ValueId interp(NcnnLayer& layer, Inputs inputs) {
    constexpr int kNearest = 1;
    constexpr int kBicubic = 3;
    const int method = layer.integer(0, 0);
    const float height = layer.real(1, 1);
    const float width = layer.real(2, 1);
    const auto factor = height == width ? ratio_of(height) : std::nullopt;
    if (factor && method == kBicubic) {
      layer.expect("align_corner", 6, 0, 0);
      return add(layer, Resize{factor->numerator, factor->denominator}, inputs);
    }
    if (factor && method == kNearest && factor->denominator == 1) {
      return add(layer, Upsample{factor->numerator}, inputs);
    }
    layer.refuse(
        fmt::format("resizes by {} x {} with method {}, upres runs whole factors with "
                    "method 1 (nearest) and ratios with 3 (bicubic)",
                    height, width, method));
  }

  /// The ratio of small numbers that a factor was written for; nothing when there is none.
  static std::optional<Ratio> ratio_of(float factor) {
    if (!(factor > 0 && factor <= kMaxFactor)) return std::nullopt;
    for (int denominator = 1; denominator <= kMaxFactor; ++denominator) {
      const float numerator = std::round(factor * float(denominator));
      // Seven digits are written.
      const bool fits = std::abs(factor * float(denominator) - numerator) <= 1e-6f * numerator;
      if (fits && numerator >= 1) return Ratio{int(numerator), denominator};
    }
    return std::nullopt;
  }

  ValueId pixel_shuffle(NcnnLayer& layer, Inputs inputs) {
    return add(layer, PixelShuffle{shuffle_factor(layer)}, inputs);
  }

  ValueId pixel_unshuffle(NcnnLayer& layer, Inputs inputs) {
    return add(layer, PixelUnshuffle{shuffle_factor(layer)}, inputs);
  }

  static int shuffle_factor(NcnnLayer& layer) {
    layer.expect("channel order", 1, 0, 0);  // PyTorch's
    const int factor = layer.integer(0, 1);
    if (factor < 1 || factor > kMaxFactor) layer.refuse(fmt::format("has a factor of {}", factor));
    return factor;
  }

  // --- blobs, nodes, weights ---

  ValueId consume(const std::string& blob, const NcnnLayer& layer) {
    const auto value = values_.find(blob);
    if (value == values_.end()) layer.refuse(fmt::format("reads {} before it is made", blob));
    unread_.erase(blob);
    return value->second;
  }

  void produce(const std::string& blob, ValueId value, const NcnnLayer& layer) {
    if (!values_.emplace(blob, value).second) layer.refuse(fmt::format("makes {} again", blob));
    unread_.insert(blob);
  }

  ValueId add(const NcnnLayer& layer, Op op, const std::vector<ValueId>& inputs) {
    const ValueId id = network_.graph.add(layer.name, std::move(op), inputs);
    if (!is_plausible(network_.graph.value(id))) {
      layer.refuse("makes more channels or larger pictures than any network");
    }
    return id;
  }

  int channels_of(ValueId id) const { return network_.graph.value(id).channels; }

  void add_weights(const NcnnLayer& layer, std::string_view what, Tensor tensor) {
    network_.weights.add(fmt::format("{}.{}", layer.name, what), std::move(tensor));
  }

  Cursor bin_;
  NcnnNetwork network_;
  std::unordered_map<std::string, ValueId> values_;  ///< by blob
  std::unordered_set<std::string> unread_;           ///< blobs
};

NcnnNetwork import_layers(std::vector<NcnnLayer>& layers, std::span<const std::byte> bin) {
  Importer importer(bin);
  for (NcnnLayer& layer : layers) importer.import(layer);
  return importer.finish();
}

std::set<std::string_view> types_of(const std::vector<NcnnLayer>& layers) {
  std::set<std::string_view> types;
  for (const NcnnLayer& layer : layers) types.insert(layer.type);
  return types;
}

}  // namespace

NcnnNetwork read_ncnn(std::span<const std::byte> param, std::span<const std::byte> bin) {
  std::vector<NcnnLayer> layers = read_ncnn_param(param);
  try {
    return import_layers(layers, bin);
  } catch (const Error&) {
    if (const auto family = foreign_family(types_of(layers))) refuse_family(*family);
    throw;
  }
}

}  // namespace upres
