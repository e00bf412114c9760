// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.h"

#include <numeric>
#include <utility>

#include "base/error.h"

namespace upres {
namespace {

struct OutputShape {
  int channels;
  Ratio scale;
};

/// Channels and scale of a node's output. Throws Error{model} where the inputs do not fit.
class InferOutput {
 public:
  InferOutput(const std::string& name, std::vector<const Value*> inputs)
      : name_(name), inputs_(std::move(inputs)) {}

  OutputShape operator()(const Conv2d& conv) const {
    expect_inputs(1);
    if (in().channels != conv.in_channels) {
      fail(ErrorCode::model, "layer {}: reads {} channels but is given {}", name_, conv.in_channels,
           in().channels);
    }
    const int square = conv.shuffle * conv.shuffle;
    return {conv.out_channels / square, in().scale * Ratio{conv.enlarge * conv.shuffle, 1}};
  }
  OutputShape operator()(const Activate& op) const {
    expect_inputs(1);
    const bool per_channel = op.activation.kind == Activation::Kind::prelu;
    if (per_channel && op.activation.slopes.size() != size_t(in().channels)) {
      fail(ErrorCode::model, "layer {}: {} slopes for {} channels", name_,
           op.activation.slopes.size(), in().channels);
    }
    return same();
  }
  OutputShape operator()(const Add&) const {
    expect_inputs(2);
    if (inputs_[0]->channels != inputs_[1]->channels || inputs_[0]->scale != inputs_[1]->scale) {
      fail(ErrorCode::model, "layer {}: adds {} channels to {}, or pictures of two sizes", name_,
           inputs_[1]->channels, inputs_[0]->channels);
    }
    return same();
  }
  OutputShape operator()(const Scale&) const {
    expect_inputs(1);
    return same();
  }
  OutputShape operator()(const Concat&) const {
    OutputShape shape{0, in().scale};
    for (const Value* input : inputs_) {
      if (input->scale != shape.scale) {
        fail(ErrorCode::model, "layer {}: stacks pictures of two sizes", name_);
      }
      shape.channels += input->channels;
    }
    return shape;
  }
  OutputShape operator()(const Upsample& op) const {
    expect_inputs(1);
    return {in().channels, in().scale * Ratio{op.factor, 1}};
  }
  OutputShape operator()(const PixelShuffle& op) const {
    expect_inputs(1);
    const int square = op.factor * op.factor;
    if (in().channels % square != 0) {
      fail(ErrorCode::model, "layer {}: {} channels are not a multiple of {}", name_, in().channels,
           square);
    }
    return {in().channels / square, in().scale * Ratio{op.factor, 1}};
  }
  OutputShape operator()(const PixelUnshuffle& op) const {
    expect_inputs(1);
    return {in().channels * op.factor * op.factor, in().scale * Ratio{1, op.factor}};
  }
  OutputShape operator()(const Resize& op) const {
    expect_inputs(1);
    return {in().channels, in().scale * Ratio{op.numerator, op.denominator}};
  }

 private:
  const Value& in() const { return *inputs_[0]; }
  OutputShape same() const { return {in().channels, in().scale}; }
  void expect_inputs(size_t count) const {
    if (inputs_.size() != count) {
      fail(ErrorCode::model, "layer {}: {} inputs, expected {}", name_, inputs_.size(), count);
    }
  }

  const std::string& name_;
  std::vector<const Value*> inputs_;
};

}  // namespace

Ratio operator*(Ratio a, Ratio b) {
  const int numerator = a.numerator * b.numerator;
  const int denominator = a.denominator * b.denominator;
  const int divisor = std::gcd(numerator, denominator);
  return {numerator / divisor, denominator / divisor};
}

ValueId Graph::add_storage(std::string name, int channels, Ratio scale) {
  const auto id = ValueId(values_.size());
  values_.push_back({std::move(name), channels, scale, id, 0});
  return id;
}

ValueId Graph::add_input(int channels) {
  UPRES_ASSERT(values_.empty(), "the input comes first");
  return input_ = add_storage("in", channels, {});
}

ValueId Graph::add(std::string name, Op op, std::vector<ValueId> inputs) {
  UPRES_ASSERT(!inputs.empty(), "every operator reads something");
  std::vector<const Value*> values;
  for (const ValueId id : inputs) values.push_back(&value(id));
  const OutputShape shape = std::visit(InferOutput(name, std::move(values)), op);
  const ValueId output =
      add_storage(fmt::format("v{}", nodes_.size()), shape.channels, shape.scale);
  nodes_.push_back({std::move(name), std::move(op), std::move(inputs), output});
  return output;
}

int Graph::scale() const {
  const Ratio ratio = value(output_).scale;
  UPRES_ASSERT(ratio.denominator == 1, "a network does not make pictures smaller");
  return ratio.numerator;
}

Size Graph::size_of(ValueId id, Size input_size) const {
  const Ratio ratio = value(id).scale;
  const auto side = [&](int pixels) { return pixels / ratio.denominator * ratio.numerator; };
  return {side(input_size.width), side(input_size.height)};
}

std::vector<ValueId> reads(const Node& node) {
  std::vector<ValueId> values = node.inputs;
  if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
    for (const Addend& addend : conv->epilogue.addends) values.push_back(addend.value);
  }
  return values;
}

}  // namespace upres
