// SPDX-License-Identifier: Apache-2.0
#include "model/onnx_importer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "model/imported.h"
#include "model/onnx_convolution.h"
#include "model/rewrite.h"
#include "onnx/channel_order.h"
#include "onnx/evaluate.h"

namespace upres {
namespace {

using onnx::NodeProto;
using onnx::TensorProto;

constexpr int kColours = 3;

/// A value of our graph. Zeros around it that are still to come, y and x before, y and x after, are
/// for the convolution that reads it.
struct Picture {
  ValueId id;
  std::array<int64_t, 4> pads = {0, 0, 0, 0};
};

/// A picture between Reshape and Reshape: `order` is the dimensions of `shape` as they were
/// transposed.
struct View {
  ValueId id;
  Shape shape;
  std::vector<int64_t> order;
};

using Known = std::variant<Picture, View, OnnxConstant>;

/// The decimal number of a few digits that a half was rounded from, if there is one: 0.2 is stored
/// as 0.19995.
float short_decimal(float half) {
  const uint16_t bits = f32_to_f16(half);
  for (int digits = 1; digits <= 3; ++digits) {
    const std::string text = fmt::format("{:.{}g}", half, digits);
    float value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    if (f32_to_f16(value) == bits) return value;
  }
  return half;
}

/// Those of a graph, in its order, under the names of its layers.
StateDict weights_of(const Graph& graph) {
  StateDict weights;
  int layer = 0;
  for (const Node& node : graph.nodes()) {
    const auto add = [&](std::string_view what, Shape shape, const std::vector<float>& values) {
      weights.add(fmt::format("layer{}.{}", layer, what),
                  Tensor::from_floats(std::move(shape), values));
    };
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
      add("weight", {conv->out_channels, conv->in_channels, conv->kernel, conv->kernel},
          *conv->weights);
      add("bias", {conv->out_channels}, *conv->biases);
      ++layer;
    }
    const auto* act = std::get_if<Activate>(&node.op);
    if (act && act->activation.kind == Activation::Kind::prelu) {
      add("weight", {int64_t(act->activation.slopes.size())}, act->activation.slopes);
      ++layer;
    }
  }
  return weights;
}

/// Imports a graph's nodes, one after the other.
class Import {
 public:
  Import(const onnx::GraphProto& graph, const std::string& input_name,
         const std::unordered_map<std::string, OnnxConstant>& weights, Size size)
      : proto_(graph), weights_(weights), size_(size) {
    known_.emplace(input_name, Picture{graph_.add_input(kColours)});
  }

  OnnxNetwork run() {
    for (const NodeProto& node : proto_.node()) {
      if (node.op_type() != "Constant") import(node);
    }
    if (proto_.output_size() != 1) {
      fail(ErrorCode::model, "the network has {} outputs, upres runs networks of one",
           proto_.output_size());
    }
    const auto found = known_.find(proto_.output(0).name());
    const Picture* result = found == known_.end() ? nullptr : std::get_if<Picture>(&found->second);
    if (!result || result->pads != Picture{}.pads) {
      fail(ErrorCode::model, "the network's output {} is no picture", proto_.output(0).name());
    }
    if (channels_of(result->id) != kColours) {
      fail(ErrorCode::model, "the network's result has {} channels, upres runs those with 3",
           channels_of(result->id));
    }
    const Ratio scale = graph_.value(result->id).scale;
    if (scale.denominator != 1) {
      fail(ErrorCode::model,
           "the network's result is {}/{} times as large as its input, upres runs "
           "those that make pictures larger",
           scale.numerator, scale.denominator);
    }
    graph_.set_output(result->id);
    Graph graph = without_unused(graph_);
    return {weights_of(graph), std::move(graph)};
  }

 private:
  using Results = std::vector<Known>;

  struct Operator {
    std::string_view type;
    Results (Import::*import)(const NodeProto& node);
  };

  /// What is run: one line each.
  static const Operator* find_operator(const NodeProto& node) {
    static constexpr Operator kOperators[] = {
        {"Add", &Import::sum},
        {"Cast", &Import::cast},
        {"Clip", &Import::clip},
        {"Concat", &Import::concat},
        {"Conv", &Import::convolution},
        {"ConvTranspose", &Import::convolution},
        {"DepthToSpace", &Import::depth_to_space},
        {"Div", &Import::product},
        {"Dropout", &Import::identity},
        {"Gather", &Import::gather},
        {"Identity", &Import::identity},
        {"LeakyRelu", &Import::relu},
        {"Mul", &Import::product},
        {"PRelu", &Import::prelu},
        {"Pad", &Import::pad},
        {"Relu", &Import::relu},
        {"Reshape", &Import::reshape},
        {"Resize", &Import::resize},
        {"Shape", &Import::shape},
        {"Slice", &Import::slice},
        {"SpaceToDepth", &Import::space_to_depth},
        {"Split", &Import::split},
        {"Sub", &Import::sum},
        {"Transpose", &Import::transpose},
        {"Upsample", &Import::resize},
    };
    for (const Operator& op : kOperators) {
      if (op.type == node.op_type()) return &op;
    }
    return nullptr;
  }

  void import(const NodeProto& node) {
    if (!node.domain().empty() && node.domain() != "ai.onnx") {
      refuse(node, fmt::format("is of {}, which upres does not run", node.domain()));
    }
    if (node.output_size() == 0) refuse(node, "makes nothing");
    Results results;
    if (auto constant = evaluated(node)) {
      results.push_back(std::move(*constant));
    } else if (const Operator* op = find_operator(node)) {
      results = (this->*op->import)(node);
    } else {
      refuse(node, "is an operator that upres does not run");
    }
    for (int i = 0; i < node.output_size(); ++i) {
      if (node.output(i).empty()) continue;
      if (size_t(i) >= results.size()) refuse(node, "has more outputs than upres knows of");
      if (weights_.contains(node.output(i)) ||
          !known_.emplace(node.output(i), results[size_t(i)]).second) {
        refuse(node, fmt::format("makes {} again", node.output(i)));
      }
    }
  }

  /// Where all inputs are known numbers.
  std::optional<OnnxConstant> evaluated(const NodeProto& node) const {
    if (node.input_size() == 0) return std::nullopt;
    const auto inputs = constants(node);
    for (int i = 0; i < node.input_size(); ++i) {
      if (!node.input(i).empty() && !inputs[size_t(i)]) return std::nullopt;
    }
    return evaluate(node, inputs);
  }

  // --- inputs ---

  static bool has_input(const NodeProto& node, int index) {
    return index < node.input_size() && !node.input(index).empty();
  }

  /// Null when it is no constant.
  const OnnxConstant* constant(const std::string& name) const {
    if (const auto weight = weights_.find(name); weight != weights_.end()) return &weight->second;
    const auto found = known_.find(name);
    return found == known_.end() ? nullptr : std::get_if<OnnxConstant>(&found->second);
  }
  std::vector<const OnnxConstant*> constants(const NodeProto& node) const {
    std::vector<const OnnxConstant*> found;
    for (const std::string& name : node.input()) found.push_back(constant(name));
    return found;
  }
  const OnnxConstant& constant_input(const NodeProto& node, int index,
                                     std::string_view what) const {
    const OnnxConstant* found = has_input(node, index) ? constant(node.input(index)) : nullptr;
    if (!found)
      refuse(node, fmt::format("has {} that are computed, which upres does not run", what));
    return *found;
  }

  /// A constant of one element.
  double number_input(const NodeProto& node, int index, std::string_view what) const {
    const OnnxConstant& found = constant_input(node, index, what);
    if (found.count() != 1) refuse(node, fmt::format("has {} of {} numbers", what, found.count()));
    return found.at(0);
  }

  const Known& known_input(const NodeProto& node, int index) const {
    if (!has_input(node, index)) refuse(node, "lacks an input");
    const auto found = known_.find(node.input(index));
    if (found == known_.end()) {
      refuse(node, constant(node.input(index))
                       ? "has a constant where upres runs only pictures"
                       : fmt::format("reads {}, which no node before it makes", node.input(index)));
    }
    return found->second;
  }
  Picture padded_input(const NodeProto& node, int index) const {
    const auto* picture = std::get_if<Picture>(&known_input(node, index));
    if (!picture) refuse(node, "reads a value in a shape that upres does not run");
    return *picture;
  }
  ValueId input(const NodeProto& node, int index) const {
    const Picture picture = padded_input(node, index);
    if (picture.pads != Picture{}.pads) {
      refuse(node, "reads a picture with zeros around it, which upres runs for convolutions only");
    }
    return picture.id;
  }

  int channels_of(ValueId id) const { return graph_.value(id).channels; }
  Shape shape_of(ValueId id) const {
    const Ratio scale = graph_.value(id).scale;
    const auto side = [&](int pixels) {
      return int64_t(pixels) * scale.numerator / scale.denominator;
    };
    return {1, channels_of(id), side(size_.height), side(size_.width)};
  }

  // --- nodes of our graph ---

  static std::string name_of(const NodeProto& node) {
    return node.name().empty() ? node.output(0) : node.name();
  }

  ValueId add(const NodeProto& node, Op op, std::vector<ValueId> inputs) {
    const ValueId id = graph_.add(name_of(node), std::move(op), std::move(inputs));
    if (!is_plausible(graph_.value(id))) {
      refuse(node, "makes more channels or larger pictures than any network");
    }
    return id;
  }

  struct Mixture {
    ValueId from;
    std::vector<ChannelMix> mix;
  };

  /// A mixture of what a convolution made is a convolution with other weights, one of a mixture
  /// another mixture; else it is a convolution of 1x1. What it replaces may go unused.
  ValueId mixed(const NodeProto& node, ValueId from, std::vector<ChannelMix> mix) {
    if (const auto before = mixtures_.find(from); before != mixtures_.end()) {
      for (ChannelMix& m : mix) {
        const ChannelMix& inner = before->second.mix[size_t(m.channel)];
        m = {inner.channel, m.factor * inner.factor, m.factor * inner.offset + m.offset};
      }
      from = before->second.from;
    }
    bool changes = int(mix.size()) != channels_of(from);
    for (size_t out = 0; out < mix.size(); ++out) {
      changes |= mix[out].channel != int(out) || mix[out].factor != 1 || mix[out].offset != 0;
    }
    if (!changes) return from;
    const Node* maker = maker_of(from);
    const auto* sums = maker ? std::get_if<Conv2d>(&maker->op) : nullptr;
    const int64_t each =
        sums ? int64_t(sums->in_channels) * sums->kernel * sums->kernel : channels_of(from);
    if (int64_t(mix.size()) > kMostChannels || int64_t(mix.size()) * each > kMostWeights) {
      refuse(node, "makes more channels than any network");
    }
    if (sums) {
      return add(node, mixed_outputs(*sums, mix), {maker->inputs[0]});
    }
    const ValueId made = add(node, mixing(channels_of(from), mix), {from});
    mixtures_.emplace(made, Mixture{from, std::move(mix)});
    return made;
  }

  /// Null for the input.
  const Node* maker_of(ValueId id) const {
    for (const Node& node : graph_.nodes()) {
      if (node.output == id) return &node;
    }
    return nullptr;
  }

  static Conv2d mixed_outputs(const Conv2d& conv, const std::vector<ChannelMix>& mix) {
    const size_t each = size_t(conv.in_channels) * size_t(conv.kernel) * size_t(conv.kernel);
    std::vector<float> weights;
    std::vector<float> biases;
    for (const ChannelMix& m : mix) {
      const float* from = conv.weights->data() + size_t(m.channel) * each;
      std::transform(from, from + each, std::back_inserter(weights),
                     [&](float weight) { return m.factor * weight; });
      biases.push_back(m.factor * (*conv.biases)[size_t(m.channel)] + m.offset);
    }
    Conv2d result = conv;
    result.out_channels = int(mix.size());
    result.weights = std::make_shared<const std::vector<float>>(std::move(weights));
    result.biases = std::make_shared<const std::vector<float>>(std::move(biases));
    return result;
  }

  ValueId selected(const NodeProto& node, ValueId from, const std::vector<int64_t>& channels) {
    std::vector<ChannelMix> mix;
    for (const int64_t channel : channels) {
      const int64_t count = channels_of(from);
      if (channel < -count || channel >= count) {
        refuse(node, fmt::format("takes channel {} of {}", channel, count));
      }
      mix.push_back({int(channel < 0 ? channel + count : channel)});
    }
    if (mix.empty()) refuse(node, "takes no channels");
    return mixed(node, from, mix);
  }

  ValueId scaled(const NodeProto& node, ValueId from, float factor) {
    return factor == 1 ? from : add(node, Scale{factor}, {from});
  }
  ValueId shifted(const NodeProto& node, ValueId from, float offset) {
    std::vector<ChannelMix> mix;
    for (int i = 0; i < channels_of(from); ++i) mix.push_back({i, 1, offset});
    return mixed(node, from, mix);
  }

  // --- operators ---

  Results identity(const NodeProto& node) { return {known_input(node, 0)}; }

  Results cast(const NodeProto& node) {
    const int64_t to = integer_of(node, "to", 0);
    const bool real = to == TensorProto::FLOAT || to == TensorProto::FLOAT16 ||
                      to == TensorProto::BFLOAT16 || to == TensorProto::DOUBLE;
    if (!real) refuse(node, "makes integers of a picture, which upres does not run");
    return {known_input(node, 0)};
  }

  Results shape(const NodeProto& node) {
    Shape shape = shape_of(input(node, 0));
    const auto size = int64_t(shape.size());
    const auto place = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size);
    };
    const int64_t start = place(integer_of(node, "start", 0));
    const int64_t end = std::max(start, place(integer_of(node, "end", size)));
    return {OnnxConstant::of_integers({shape.begin() + start, shape.begin() + end})};
  }

  static std::vector<int> small_integers(const NodeProto& node, std::string_view name, size_t count,
                                         int64_t fallback, int64_t least) {
    constexpr int64_t kMost = 1 << 10;
    std::vector<int> small;
    for (const int64_t value : integers_of(node, name, std::vector<int64_t>(count, fallback))) {
      if (value < least || value > kMost) refuse(node, fmt::format("has {} of {}", name, value));
      small.push_back(int(value));
    }
    if (small.size() != count)
      refuse(node, fmt::format("has {} {}, not {}", small.size(), name, count));
    return small;
  }

  /// The paddings, where they are told by a word.
  static std::array<int, 4> automatic_pads(const NodeProto& node, const GeneralConvolution& conv) {
    const std::string word = text_of(node, "auto_pad", "NOTSET");
    std::array<int, 4> pads = {0, 0, 0, 0};
    if (word == "VALID") return pads;
    if (word != "SAME_UPPER" && word != "SAME_LOWER") {
      refuse(node, fmt::format("has paddings of the kind {}", word));
    }
    for (const size_t side : {0, 1}) {
      const int reach = conv.dilations[side] * (conv.kernel[side] - 1);
      const int all = std::max(0, reach + 1 - conv.strides[side]);
      const int less = all / 2;
      pads[side] = word == "SAME_UPPER" ? less : all - less;
      pads[side + 2] = all - pads[side];
    }
    return pads;
  }

  Results convolution(const NodeProto& node) {
    const Picture from = padded_input(node, 0);
    const OnnxConstant& weights = constant_input(node, 1, "weights");
    GeneralConvolution conv;
    conv.transposed = node.op_type() == "ConvTranspose";
    conv.in_channels = channels_of(from.id);
    const Shape& shape = weights.shape;
    const int64_t groups = integer_of(node, "group", 1);
    const bool sensible = shape.size() == 4 && !weights.integer && groups >= 1 &&
                          groups <= conv.in_channels && shape[0] <= kMostChannels &&
                          shape[1] <= kMostChannels;
    const int64_t outputs = !sensible ? 0 : conv.transposed ? shape[1] * groups : shape[0];
    const int64_t inputs = !sensible ? 0 : conv.transposed ? shape[0] : shape[1] * groups;
    constexpr int64_t kLongestKernel = 1024;
    const bool fits = sensible && inputs == conv.in_channels && inputs % groups == 0 &&
                      outputs > 0 && outputs <= kMostChannels && outputs % groups == 0 &&
                      shape[2] > 0 && shape[2] <= kLongestKernel && shape[3] > 0 &&
                      shape[3] <= kLongestKernel;
    if (!fits) {
      refuse(node, fmt::format("has weights of {} in {} groups for {} channels", to_string(shape),
                               groups, conv.in_channels));
    }
    conv.groups = int(groups);
    conv.out_channels = int(outputs);
    conv.kernel = {int(shape[2]), int(shape[3])};
    const auto strides = small_integers(node, "strides", 2, 1, 1);
    const auto dilations = small_integers(node, "dilations", 2, 1, 1);
    conv.strides = {strides[0], strides[1]};
    conv.dilations = {dilations[0], dilations[1]};
    if (text_of(node, "auto_pad", "NOTSET") == "NOTSET") {
      const auto pads = small_integers(node, "pads", 4, 0, 0);
      std::copy(pads.begin(), pads.end(), conv.pads.begin());
    } else {
      conv.pads = automatic_pads(node, conv);
    }
    for (size_t i = 0; i < from.pads.size(); ++i) {
      if (conv.transposed && from.pads[i] != 0)
        refuse(node, "reads a picture with zeros around it");
      conv.pads[i] += int(from.pads[i]);
    }
    if (conv.transposed) {
      const auto extra = small_integers(node, "output_padding", 2, 0, 0);
      conv.extra = {extra[0], extra[1]};
      if (has_attribute(node, "output_shape")) refuse(node, "states its output's shape");
    }
    conv.weights = weights.floats;
    if (has_input(node, 2)) {
      const OnnxConstant& biases = constant_input(node, 2, "biases");
      if (biases.integer || biases.count() != outputs) refuse(node, "has biases that do not fit");
      conv.biases = biases.floats;
    }
    PlainConvolution plain = plain_convolution(node, conv);
    ValueId x = from.id;
    if (plain.unshuffle > 1) x = add(node, PixelUnshuffle{plain.unshuffle}, {x});
    x = add(node, std::move(plain.conv), {x});
    if (plain.shuffle > 1) x = add(node, PixelShuffle{plain.shuffle}, {x});
    return {Picture{x}};
  }

  Results relu(const NodeProto& node) {
    const float slope = node.op_type() == "Relu" ? 0 : real_of(node, "alpha", 0.01f);
    return {Picture{activated(node, input(node, 0), slope)}};
  }
  ValueId activated(const NodeProto& node, ValueId from, float slope) {
    const auto kind = slope == 0 ? Activation::Kind::relu : Activation::Kind::leaky_relu;
    return add(node, Activate{{kind, {slope}}}, {from});
  }

  Results prelu(const NodeProto& node) {
    const ValueId from = input(node, 0);
    const auto slopes = channel_numbers(node, constant_input(node, 1, "slopes"), channels_of(from));
    if (slopes.same) return {Picture{activated(node, from, slopes.values[0])}};
    return {Picture{add(node, Activate{{Activation::Kind::prelu, slopes.values}}, {from})}};
  }

  /// One number a channel.
  struct ChannelNumbers {
    std::vector<float> values;
    bool same;  ///< one number was given for all
  };
  static ChannelNumbers channel_numbers(const NodeProto& node, const OnnxConstant& constant,
                                        int channels) {
    const auto value = [&](size_t i) {
      const auto exact = float(constant.at(i));
      return constant.half ? short_decimal(exact) : exact;
    };
    if (constant.count() == 1) {
      return {std::vector<float>(size_t(channels), value(0)), true};
    }
    Shape shape = constant.shape;  // numpy's rule: dimensions count from the last
    while (shape.size() < 4) shape.insert(shape.begin(), 1);
    if (shape != Shape{1, channels, 1, 1}) {
      refuse(node, fmt::format("has a constant of {} for a picture of {} channels, not one number "
                               "for each",
                               to_string(constant.shape), channels));
    }
    std::vector<float> values;
    for (size_t i = 0; i < size_t(channels); ++i) {
      values.push_back(float(constant.at(i)));
    }
    return {std::move(values), false};
  }

  /// Of a picture and a constant: which input is the constant; nothing of two pictures.
  std::optional<int> constant_side(const NodeProto& node) const {
    for (const int side : {0, 1}) {
      if (has_input(node, side) && constant(node.input(side))) return side;
    }
    return std::nullopt;
  }

  /// Add and Sub.
  Results sum(const NodeProto& node) {
    const bool minus = node.op_type() == "Sub";
    const auto side = constant_side(node);
    if (!side) {
      const ValueId a = input(node, 0);
      const ValueId b = scaled(node, input(node, 1), minus ? -1.0f : 1.0f);
      return {Picture{add(node, Add{}, {a, b})}};
    }
    const ValueId from = input(node, 1 - *side);
    const auto numbers =
        channel_numbers(node, constant_input(node, *side, "numbers"), channels_of(from));
    std::vector<ChannelMix> mix;
    for (int i = 0; i < channels_of(from); ++i) {
      const float number = numbers.values[size_t(i)];
      mix.push_back(
          {i, minus && *side == 0 ? -1.0f : 1.0f, minus && *side == 1 ? -number : number});
    }
    return {Picture{mixed(node, from, mix)}};
  }

  /// Mul and Div by constants.
  Results product(const NodeProto& node) {
    const auto side = constant_side(node);
    const bool divides = node.op_type() == "Div";
    if (!side) refuse(node, "multiplies or divides two pictures, which upres does not run");
    if (divides && *side == 0) refuse(node, "divides by a picture, which upres does not run");
    const ValueId from = input(node, 1 - *side);
    const auto numbers =
        channel_numbers(node, constant_input(node, *side, "numbers"), channels_of(from));
    const auto factor = [&](size_t i) {
      return divides ? 1 / numbers.values[i] : numbers.values[i];
    };
    if (numbers.same) return {Picture{scaled(node, from, factor(0))}};
    std::vector<ChannelMix> mix;
    for (int i = 0; i < channels_of(from); ++i) mix.push_back({i, factor(size_t(i))});
    return {Picture{mixed(node, from, mix)}};
  }

  /// What is cut off is 0 to 1 at the end of a network, which storing samples does anyway.
  Results clip(const NodeProto& node) {
    const ValueId from = input(node, 0);
    const auto limit = [&](int index, std::string_view name, float open) {
      return has_input(node, index) ? float(number_input(node, index, "limits"))
                                    : real_of(node, name, open);
    };
    const float low = limit(1, "min", std::numeric_limits<float>::lowest());
    const float high = limit(2, "max", std::numeric_limits<float>::max());
    const bool last = proto_.output_size() == 1 && node.output(0) == proto_.output(0).name();
    if (last && low == 0 && high == 1) return {Picture{from}};
    if (!(low <= high)) refuse(node, fmt::format("cuts off beyond {} and {}", low, high));
    // low + max(x - low, 0) - max(x - high, 0)
    const bool has_low = low > std::numeric_limits<float>::lowest();
    const bool has_high = high < std::numeric_limits<float>::max();
    ValueId x = from;
    if (has_low) x = shifted(node, activated(node, shifted(node, x, -low), 0), low);
    if (has_high) {
      const ValueId beyond = activated(node, shifted(node, from, -high), 0);
      x = add(node, Add{}, {x, scaled(node, beyond, -1)});
    }
    return {Picture{x}};
  }

  Results concat(const NodeProto& node) {
    const int64_t axis = integer_of(node, "axis", 1);
    if (axis != 1 && axis != -3)
      refuse(node, "joins pictures along another dimension than channels");
    if (node.input_size() == 0) refuse(node, "lacks an input");
    std::vector<ValueId> inputs;
    for (int i = 0; i < node.input_size(); ++i) inputs.push_back(input(node, i));
    return {Picture{inputs.size() == 1 ? inputs[0] : add(node, Concat{}, inputs)}};
  }

  Results gather(const NodeProto& node) {
    const int64_t axis = integer_of(node, "axis", 0);
    const OnnxConstant& indices = constant_input(node, 1, "indices");
    if ((axis != 1 && axis != -3) || indices.shape.size() != 1 || !indices.integer) {
      refuse(node, "picks something else than channels");
    }
    return {Picture{selected(node, input(node, 0), indices.integers)}};
  }

  Results slice(const NodeProto& node) {
    const ValueId from = input(node, 0);
    const Shape shape = shape_of(from);
    for (int i = 1; i < node.input_size(); ++i) {
      if (has_input(node, i)) constant_input(node, i, "limits");
    }
    const auto ranges = slice_ranges(node, constants(node), shape);
    for (const size_t axis : {0, 2, 3}) {
      if (ranges[axis].begin != 0 || ranges[axis].end != shape[axis] || ranges[axis].step != 1) {
        refuse(node, "cuts pixels off, which upres does not run");
      }
    }
    const SliceRange& range = ranges[1];
    std::vector<int64_t> channels;
    for (int64_t i = range.begin; range.step > 0 ? i < range.end : i > range.end; i += range.step) {
      channels.push_back(i);
    }
    return {Picture{selected(node, from, channels)}};
  }

  Results split(const NodeProto& node) {
    const ValueId from = input(node, 0);
    const int64_t axis = integer_of(node, "axis", 0);
    if (axis != 1 && axis != -3) refuse(node, "splits along another dimension than channels");
    const int64_t channels = channels_of(from);
    const int64_t parts = node.output_size();
    const int64_t each = (channels + parts - 1) / std::max<int64_t>(parts, 1);
    std::vector<int64_t> sizes = has_input(node, 1) ? constant_input(node, 1, "sizes").integers
                                                    : integers_of(node, "split", {});
    if (sizes.empty()) {
      for (int64_t at = 0; at < channels; at += each)
        sizes.push_back(std::min(each, channels - at));
    }
    Results results;
    int64_t first = 0;
    for (const int64_t size : sizes) {
      if (size < 1 || size > channels - first) refuse(node, "has parts that do not fit its input");
      std::vector<int64_t> part(static_cast<size_t>(size));
      std::iota(part.begin(), part.end(), first);
      results.push_back(Picture{selected(node, from, part)});
      first += size;
    }
    return results;
  }

  // --- pixels to channels and back ---

  int block_size(const NodeProto& node, int64_t factor) const {
    constexpr int64_t kMost = 16;
    if (factor < 1 || factor > kMost) refuse(node, fmt::format("has a block of {} pixels", factor));
    return int(factor);
  }

  /// A block's pixels in turn with all their channels ("DCR"), where ours are a channel's pixels.
  ValueId shuffled(const NodeProto& node, ValueId from, int factor, bool pixels_first) {
    const int phases = factor * factor;
    const int channels = channels_of(from) / phases;
    if (pixels_first) from = selected(node, from, transposed_order(phases, channels));
    return factor == 1 ? from : add(node, PixelShuffle{factor}, {from});
  }
  ValueId unshuffled(const NodeProto& node, ValueId from, int factor, bool pixels_first) {
    const int phases = factor * factor;
    const int channels = channels_of(from);
    if (factor > 1) from = add(node, PixelUnshuffle{factor}, {from});
    return pixels_first ? selected(node, from, transposed_order(channels, phases)) : from;
  }

  Results depth_to_space(const NodeProto& node) {
    const int factor = block_size(node, integer_of(node, "blocksize", 0));
    const std::string mode = text_of(node, "mode", "DCR");
    if (mode != "DCR" && mode != "CRD") refuse(node, fmt::format("has the mode {}", mode));
    return {Picture{shuffled(node, input(node, 0), factor, mode == "DCR")}};
  }
  Results space_to_depth(const NodeProto& node) {
    const int factor = block_size(node, integer_of(node, "blocksize", 0));
    return {Picture{unshuffled(node, input(node, 0), factor, true)}};
  }

  Results reshape(const NodeProto& node) {
    const OnnxConstant& numbers = constant_input(node, 1, "sizes");
    const Known& from = known_input(node, 0);
    if (const auto* view = std::get_if<View>(&from)) {
      Shape transposed;
      for (const int64_t dimension : view->order)
        transposed.push_back(view->shape[size_t(dimension)]);
      return {Picture{read_view(node, *view, reshaped(node, transposed, numbers.integers))}};
    }
    const ValueId picture = input(node, 0);
    Shape shape = reshaped(node, shape_of(picture), numbers.integers);
    if (shape == shape_of(picture)) return {Picture{picture}};
    std::vector<int64_t> order(shape.size());
    std::iota(order.begin(), order.end(), 0);
    return {View{picture, std::move(shape), std::move(order)}};
  }

  Results transpose(const NodeProto& node) {
    const auto* from = std::get_if<View>(&known_input(node, 0));
    if (!from) refuse(node, "swaps a picture's dimensions, which upres does not run");
    View view = *from;
    const auto order = integers_of(node, "perm", {});
    std::vector<bool> seen(order.size());
    if (order.size() != view.order.size()) refuse(node, "does not name all dimensions");
    for (size_t i = 0; i < order.size(); ++i) {
      const int64_t at = order[i];
      if (at < 0 || at >= int64_t(order.size()) || seen[size_t(at)]) {
        refuse(node, "does not name all dimensions once");
      }
      seen[size_t(at)] = true;
      view.order[i] = from->order[size_t(at)];
    }
    return {std::move(view)};
  }

  /// Reshape, Transpose, Reshape: the four ways in which that moves pixels to channels and back.
  ValueId read_view(const NodeProto& node, const View& view, const Shape& result) {
    using Order = std::vector<int64_t>;
    const Shape& s = view.shape;
    const Shape source = shape_of(view.id);
    if (s.size() == 6 && s[0] == 1 && result.size() == 4) {
      const auto is = [&](const Order& order, const Shape& from, const Shape& to) {
        return view.order == order && s == from && result == to;
      };
      const int64_t height = source[2];
      const int64_t width = source[3];
      const int64_t r =
          view.order[1] == 3 && s[1] == s[2] ? s[1] : s[3];  // where the factor stands
      const bool fits = r >= 1 && r <= 16;
      const int64_t c = source[1];
      if (fits && c % (r * r) == 0) {
        const int64_t out = c / (r * r);
        const Shape larger{1, out, height * r, width * r};
        if (is({0, 1, 4, 2, 5, 3}, {1, out, r, r, height, width}, larger)) {
          return shuffled(node, view.id, int(r), false);
        }
        if (is({0, 3, 4, 1, 5, 2}, {1, r, r, out, height, width}, larger)) {
          return shuffled(node, view.id, int(r), true);
        }
      }
      if (fits && height % r == 0 && width % r == 0) {
        const Shape blocks{1, c, height / r, r, width / r, r};
        const Shape smaller{1, c * r * r, height / r, width / r};
        if (is({0, 1, 3, 5, 2, 4}, blocks, smaller))
          return unshuffled(node, view.id, int(r), false);
        if (is({0, 3, 5, 1, 2, 4}, blocks, smaller)) return unshuffled(node, view.id, int(r), true);
      }
    }
    refuse(node, "gives a picture a shape that is neither a pixel shuffle nor its inverse");
  }

  // --- sizes ---

  Results pad(const NodeProto& node) {
    Picture picture = padded_input(node, 0);
    const std::vector<int64_t> pads = has_input(node, 1)
                                          ? constant_input(node, 1, "paddings").integers
                                          : integers_of(node, "pads", {});
    const bool some = std::any_of(pads.begin(), pads.end(), [](int64_t pad) { return pad != 0; });
    if (!some) return {picture};
    const std::string mode = text_of(node, "mode", "constant");
    const double value =
        has_input(node, 2) ? number_input(node, 2, "values") : double(real_of(node, "value", 0));
    constexpr size_t kNumbers = 8;  // before and after, of each dimension
    if (mode != "constant" || value != 0 || has_input(node, 3) || pads.size() != kNumbers) {
      refuse(node, fmt::format("pads with {}, upres runs zeros before a convolution",
                               mode == "constant" ? fmt::format("{}", value) : mode));
    }
    constexpr std::array<size_t, 4> kSides{2, 3, 6, 7};
    constexpr int64_t kMost = 1 << 10;
    for (size_t i = 0; i < kNumbers; ++i) {
      const bool side = std::find(kSides.begin(), kSides.end(), i) != kSides.end();
      if (pads[i] < 0 || pads[i] > kMost || (!side && pads[i] != 0)) {
        refuse(node, "pads other dimensions than height and width, or cuts off");
      }
    }
    for (size_t i = 0; i < kSides.size(); ++i) picture.pads[i] += pads[kSides[i]];
    return {picture};
  }

  /// Resize and Upsample.
  Results resize(const NodeProto& node) {
    const ValueId from = input(node, 0);
    const Ratio factor = resize_factor(node, shape_of(from));
    const std::string mode = text_of(node, "mode", "nearest");
    if (factor == Ratio{1, 1}) return {Picture{from}};
    if (mode == "nearest" && factor.denominator == 1 && is_repetition(node, factor.numerator)) {
      return {Picture{add(node, Upsample{factor.numerator}, {from})}};
    }
    if (mode == "cubic" && is_our_cubic(node)) {
      return {Picture{add(node, Resize{factor.numerator, factor.denominator}, {from})}};
    }
    refuse(node, fmt::format("resizes by {}/{} with mode {} and coordinates {}, upres runs nearest "
                             "by whole factors, and cubic",
                             factor.numerator, factor.denominator, mode,
                             text_of(node, "coordinate_transformation_mode", "half_pixel")));
  }

  /// Whether nearest neighbours are the pixels repeated.
  static bool is_repetition(const NodeProto& node, int factor) {
    // Before version 11 coordinates are asymmetric, and rounded down.
    if (node.op_type() == "Upsample" || node.input_size() == 2) return true;
    const std::string places = text_of(node, "coordinate_transformation_mode", "half_pixel");
    const std::string rounding = text_of(node, "nearest_mode", "round_prefer_floor");
    if (places == "asymmetric") {
      return rounding == "floor" || (rounding == "round_prefer_floor" && factor == 2);
    }
    return (places == "half_pixel" || places == "pytorch_half_pixel") &&
           (rounding == "round_prefer_floor" || rounding == "round_prefer_ceil");
  }

  /// Whether it is what resize_taps.h computes.
  static bool is_our_cubic(const NodeProto& node) {
    const std::string places = text_of(node, "coordinate_transformation_mode", "half_pixel");
    return (places == "half_pixel" || places == "pytorch_half_pixel") &&
           real_of(node, "cubic_coeff_a", -0.75f) == -0.75f &&
           integer_of(node, "exclude_outside", 0) == 0 && integer_of(node, "antialias", 0) == 0;
  }

  static Ratio resize_factor(const NodeProto& node, const Shape& shape, double height,
                             double width) {
    constexpr int kMost = 16;
    for (int denominator = 1; height > 0 && height <= kMost && denominator <= kMost;
         ++denominator) {
      const double numerator = std::round(height * denominator);
      const bool fits = std::abs(height * denominator - numerator) <= 1e-5 * numerator;
      if (fits && numerator >= 1 && std::abs(width - height) <= 1e-5 * height) {
        return {int(numerator), denominator};
      }
    }
    refuse(node, fmt::format("resizes {} by {} x {}", to_string(shape), height, width));
  }

  Ratio resize_factor(const NodeProto& node, const Shape& shape) const {
    if (has_attribute(node, "axes")) refuse(node, "resizes some dimensions, stated by axes");
    // Upsample has scales alone; Resize has them second at first, then third, before sizes.
    const int scales = node.op_type() == "Upsample" || node.input_size() == 2 ? 1 : 2;
    const OnnxConstant* numbers = nullptr;
    if (has_input(node, scales)) {
      numbers = &constant_input(node, scales, "scales");
      if (numbers->count() == 0) numbers = nullptr;
    }
    if (numbers) {
      if (numbers->count() != 4 || numbers->at(0) != 1 || numbers->at(1) != 1) {
        refuse(node, "resizes other dimensions than height and width");
      }
      return resize_factor(node, shape, numbers->at(2), numbers->at(3));
    }
    if (has_input(node, 3)) {
      const OnnxConstant& sizes = constant_input(node, 3, "sizes");
      if (sizes.count() != 4 || sizes.at(1) != double(shape[1])) {
        refuse(node, "resizes other dimensions than height and width");
      }
      return resize_factor(node, shape, sizes.at(2) / double(shape[2]),
                           sizes.at(3) / double(shape[3]));
    }
    refuse(node, "does not say by how much it resizes");
  }

  const onnx::GraphProto& proto_;
  const std::unordered_map<std::string, OnnxConstant>& weights_;
  Size size_;
  Graph graph_;
  std::unordered_map<std::string, Known> known_;   ///< by name, weights apart
  std::unordered_map<ValueId, Mixture> mixtures_;  ///< that are convolutions of 1x1
};

}  // namespace

OnnxImporter::OnnxImporter(const onnx::GraphProto& graph, OnnxExternalData& external)
    : graph_(graph) {
  for (const TensorProto& tensor : graph.initializer()) {
    weights_.emplace(tensor.name(), read_constant(tensor, external));
  }
  for (const NodeProto& node : graph.node()) {
    if (node.op_type() != "Constant") continue;
    if (node.output_size() != 1) refuse(node, "has no output");
    OnnxConstant constant;
    if (const TensorProto* tensor = tensor_of(node, "value")) {
      constant = read_constant(*tensor, external);
    } else if (has_attribute(node, "value_int")) {
      constant = OnnxConstant::of_integers({integer_of(node, "value_int", 0)});
      constant.shape = {};
    } else if (has_attribute(node, "value_float")) {
      constant = OnnxConstant::of_floats({}, {real_of(node, "value_float", 0)});
    } else if (has_attribute(node, "value_ints")) {
      constant = OnnxConstant::of_integers(integers_of(node, "value_ints", {}));
    } else {
      refuse(node, "holds a constant of a kind that upres does not read");
    }
    weights_.emplace(node.output(0), std::move(constant));
  }
  for (const onnx::ValueInfoProto& input : graph.input()) {
    if (weights_.contains(input.name())) continue;  // older files list weights as inputs, too
    if (input_) {
      fail(ErrorCode::model,
           "the network has more than one input ({} and {}), upres runs networks "
           "of one",
           input_->name(), input.name());
    }
    input_ = &input;
  }
  if (!input_) fail(ErrorCode::model, "the network has no input");
  const auto& shape = input_->type().tensor_type().shape();
  if (shape.dim_size() != 0 && shape.dim_size() != 4) {
    fail(ErrorCode::model,
         "the network's input {} has {} dimensions, upres runs networks of "
         "pictures: batch, channels, height, width",
         input_->name(), shape.dim_size());
  }
  if (shape.dim_size() == 4 && shape.dim(1).has_dim_value() && shape.dim(1).dim_value() > 0 &&
      shape.dim(1).dim_value() != kColours) {
    fail(ErrorCode::model, "the network reads {} channels, upres runs those with 3",
         shape.dim(1).dim_value());
  }
}

OnnxNetwork OnnxImporter::import(Size size) const {
  return Import(graph_, input_->name(), weights_, size).run();
}

}  // namespace upres
