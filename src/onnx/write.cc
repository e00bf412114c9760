// SPDX-License-Identifier: Apache-2.0
#include "onnx/write.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "onnx/channel_order.h"
#include "onnx/proto.h"

namespace upres {
namespace {

using onnx::AttributeProto;
using onnx::NodeProto;
using onnx::TensorProto;

/// The version of the file format that came with the version of the operators, or before: readers
/// refuse newer ones than they know.
int64_t format_version(int opset) {
  struct Since {
    int opset, version;
  };
  constexpr Since kSince[] = {{23, 11}, {21, 10}, {19, 9}, {15, 8}, {12, 7}, {11, 6}, {10, 5}};
  for (const Since& since : kSince) {
    if (opset >= since.opset) return since.version;
  }
  return 4;
}

void set(NodeProto& node, const char* name, int64_t value) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INT);
  attribute.set_i(value);
}
void set(NodeProto& node, const char* name, float value) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::FLOAT);
  attribute.set_f(value);
}
void set(NodeProto& node, const char* name, const char* value) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::STRING);
  attribute.set_s(value);
}
void set(NodeProto& node, const char* name, const std::vector<int64_t>& values) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
}

class Writer {
 public:
  Writer(const Graph& graph, const OnnxOptions& options) : graph_(graph), options_(options) {}

  std::string run() {
    model_.set_ir_version(format_version(options_.opset));
    model_.set_producer_name("upres");
    auto& opset = *model_.add_opset_import();
    opset.set_domain("");
    opset.set_version(options_.opset);
    for (const auto& [key, value] : options_.metadata) {
      auto& entry = *model_.add_metadata_props();
      entry.set_key(key);
      entry.set_value(value);
    }
    proto_.set_name("upres");
    describe(*proto_.add_input(), "input", graph_.input(), "");
    describe(*proto_.add_output(), "output", graph_.output(), "out_");
    for (const Node& node : graph_.nodes()) {
      node_ = &node;
      layer_ = node.name;
      for (int i = 2; !layers_.insert(layer_).second; ++i) {
        layer_ = fmt::format("{}.{}", node.name, i);
      }
      std::visit([&](const auto& op) { write(op); }, node.op);
      made_[size_t(node.output)] = layer_ + ".out";
    }
    constexpr size_t kMost = std::numeric_limits<int32_t>::max();
    if (model_.ByteSizeLong() > kMost) {
      fail(ErrorCode::model, "the network is larger than an ONNX file can be, 2 GiB");
    }
    return model_.SerializeAsString();
  }

 private:
  int type() const { return options_.half ? TensorProto::FLOAT16 : TensorProto::FLOAT; }

  void describe(onnx::ValueInfoProto& info, const char* name, ValueId id,
                const char* prefix) const {
    info.set_name(name);
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type());
    auto& shape = *tensor.mutable_shape();
    const auto add = [&](std::optional<int> size, const std::string& open) {
      auto& dimension = *shape.add_dim();
      if (size) {
        dimension.set_dim_value(*size);
      } else {
        dimension.set_dim_param(open);
      }
    };
    std::optional<Size> size;
    if (options_.size) size = graph_.size_of(id, *options_.size);
    add(options_.batch, "batch");
    add(graph_.value(id).channels, "");
    add(size ? std::optional(size->height) : std::nullopt, std::string(prefix) + "height");
    add(size ? std::optional(size->width) : std::nullopt, std::string(prefix) + "width");
  }

  // --- names ---

  std::string name_of(ValueId id) const {
    if (id == graph_.input()) return "input";
    if (id == graph_.output()) return "output";
    return made_[size_t(id)].empty() ? layer_ + ".out" : made_[size_t(id)];
  }

  NodeProto& add(const char* type, const std::vector<std::string>& inputs,
                 const std::string& output, const std::string& suffix = "") {
    NodeProto& node = *proto_.add_node();
    node.set_op_type(type);
    node.set_name(layer_ + suffix);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output);
    return node;
  }
  std::string input(size_t index = 0) const { return name_of(node_->inputs[index]); }
  std::string output() const { return name_of(node_->output); }

  // --- weights ---

  /// Adds one, called after the layer, and returns its name.
  std::string constant(const std::string& what, const std::vector<int64_t>& shape,
                       std::span<const float> values, bool always_single = false) {
    TensorProto& tensor = *proto_.add_initializer();
    tensor.set_name(fmt::format("{}.{}", layer_, what));
    for (const int64_t size : shape) tensor.add_dims(size);
    std::string& raw = *tensor.mutable_raw_data();
    if (options_.half && !always_single) {
      tensor.set_data_type(TensorProto::FLOAT16);
      raw.resize(values.size() * sizeof(uint16_t));
      for (size_t i = 0; i < values.size(); ++i) {
        const uint16_t bits = f32_to_f16(values[i]);
        if (!std::isfinite(f16_to_f32(bits))) {
          fail(ErrorCode::model, "layer {}: the {} {} has no place in float16; export float32",
               node_->name, what, values[i]);
        }
        std::memcpy(raw.data() + i * sizeof bits, &bits, sizeof bits);
      }
    } else {
      tensor.set_data_type(TensorProto::FLOAT);
      raw.resize(values.size_bytes());
      std::memcpy(raw.data(), values.data(), values.size_bytes());
    }
    return tensor.name();
  }
  std::string integers(const std::string& what, const std::vector<int64_t>& values) {
    TensorProto& tensor = *proto_.add_initializer();
    tensor.set_name(fmt::format("{}.{}", layer_, what));
    tensor.set_data_type(TensorProto::INT64);
    tensor.add_dims(int64_t(values.size()));
    tensor.mutable_raw_data()->assign(reinterpret_cast<const char*>(values.data()),
                                      values.size() * sizeof(int64_t));
    return tensor.name();
  }

  // --- operators ---

  void write(const Conv2d& conv) {
    const bool plain = conv.enlarge == 1 && conv.shuffle == 1 && conv.epilogue.addends.empty() &&
                       conv.epilogue.activation.kind == Activation::Kind::none;
    UPRES_ASSERT(plain, "a graph that no pass has changed");
    const int64_t kernel = conv.kernel;
    const int64_t pad = kernel / 2;
    const auto weights =
        constant("weight", {conv.out_channels, conv.in_channels, kernel, kernel}, *conv.weights);
    const auto biases = constant("bias", {conv.out_channels}, *conv.biases);
    NodeProto& node = add("Conv", {input(), weights, biases}, output());
    set(node, "kernel_shape", std::vector<int64_t>{kernel, kernel});
    set(node, "pads", std::vector<int64_t>{pad, pad, pad, pad});
    set(node, "strides", std::vector<int64_t>{1, 1});
  }

  void write(const Activate& op) {
    const Activation& activation = op.activation;
    switch (activation.kind) {
      case Activation::Kind::none:
        add("Identity", {input()}, output());
        break;
      case Activation::Kind::relu:
        add("Relu", {input()}, output());
        break;
      case Activation::Kind::leaky_relu:
        set(add("LeakyRelu", {input()}, output()), "alpha", activation.slopes[0]);
        break;
      case Activation::Kind::prelu: {
        const auto channels = int64_t(activation.slopes.size());
        const auto slopes = constant("weight", {channels, 1, 1}, activation.slopes);
        add("PRelu", {input(), slopes}, output());
        break;
      }
    }
  }

  void write(const Add&) { add("Add", {input(0), input(1)}, output()); }

  void write(const Scale& op) {
    add("Mul", {input(), constant("factor", {}, std::span(&op.factor, 1))}, output());
  }

  void write(const Concat&) {
    std::vector<std::string> inputs;
    for (size_t i = 0; i < node_->inputs.size(); ++i) inputs.push_back(input(i));
    set(add("Concat", inputs, output()), "axis", int64_t(1));
  }

  void write(const Upsample& op) {
    const auto factor = float(op.factor);
    resize("nearest", factor);
  }

  void write(const Resize& op) {
    if (options_.opset < 11) {
      fail(ErrorCode::usage,
           "layer {}: version {} of ONNX's operators has no cubic resizing like "
           "the network's; give --opset 11 or more",
           node_->name, options_.opset);
    }
    resize("cubic", float(op.numerator) / float(op.denominator));
  }

  void resize(const char* mode, float factor) {
    const float factors[] = {1, 1, factor, factor};
    const auto scales = constant("scales", {4}, factors, true);
    if (options_.opset < 11) {
      NodeProto& node =
          add(options_.opset < 10 ? "Upsample" : "Resize", {input(), scales}, output());
      set(node, "mode", mode);
      return;
    }
    // A region that is not used must still be there before version 13.
    const auto region = options_.opset < 13 ? constant("region", {0}, {}, true) : std::string();
    NodeProto& node = add("Resize", {input(), region, scales}, output());
    set(node, "mode", mode);
    const bool cubic = std::string_view(mode) == "cubic";
    set(node, "coordinate_transformation_mode", cubic ? "half_pixel" : "asymmetric");
    if (cubic) {
      set(node, "cubic_coeff_a", -0.75f);
    } else {
      set(node, "nearest_mode", "floor");
    }
  }

  /// Ours keep a channel's pixels together, theirs a pixel's channels, until version 11.
  void write(const PixelShuffle& op) {
    if (options_.opset >= 11) {
      NodeProto& node = add("DepthToSpace", {input()}, output());
      set(node, "blocksize", int64_t(op.factor));
      set(node, "mode", "CRD");
      return;
    }
    const int phases = op.factor * op.factor;
    const int channels = graph_.value(node_->output).channels;
    const std::vector<int64_t> order = transposed_order(channels, phases);
    const std::string ordered = output() + ".ordered";
    set(add("Gather", {input(), integers("order", order)}, ordered, ".order"), "axis", int64_t(1));
    set(add("DepthToSpace", {ordered}, output()), "blocksize", int64_t(op.factor));
  }

  void write(const PixelUnshuffle& op) {
    const int phases = op.factor * op.factor;
    const int channels = graph_.value(node_->inputs[0]).channels;
    const std::vector<int64_t> order = transposed_order(phases, channels);
    const std::string theirs = output() + ".theirs";
    set(add("SpaceToDepth", {input()}, theirs), "blocksize", int64_t(op.factor));
    set(add("Gather", {theirs, integers("order", order)}, output(), ".order"), "axis", int64_t(1));
  }

  const Graph& graph_;
  const OnnxOptions& options_;
  onnx::ModelProto model_;
  onnx::GraphProto& proto_ = *model_.mutable_graph();
  const Node* node_ = nullptr;  ///< that is written
  std::string layer_;           ///< its name, which no other one has
  std::set<std::string> layers_ = {};
  std::vector<std::string> made_ = std::vector<std::string>(graph_.values().size());  ///< by value
};

}  // namespace

std::string write_onnx(const Graph& graph, const OnnxOptions& options) {
  UPRES_ASSERT(options.opset >= kOldestOnnxOpset && options.opset <= kNewestOnnxOpset,
               "a version of the operators that is known");
  return Writer(graph, options).run();
}

}  // namespace upres
