// SPDX-License-Identifier: Apache-2.0
#include "onnx/evaluate.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/error.h"

namespace upres {
namespace {

using onnx::NodeProto;
using Inputs = std::span<const OnnxConstant* const>;

// Sizes and factors are a few numbers; weights only change their shape.
constexpr int64_t kMostComputed = 1 << 16;
constexpr double kMost = 1e15;  // far beyond sizes, and exact as integers

const OnnxConstant& input(const NodeProto& node, Inputs inputs, size_t index) {
  if (index >= inputs.size() || !inputs[index]) refuse(node, "lacks an input");
  return *inputs[index];
}

void check_small(const NodeProto& node, int64_t count) {
  if (count > kMostComputed) refuse(node, "computes more numbers than any size needs");
}

/// The same elements in another shape.
OnnxConstant shaped(const NodeProto& node, const OnnxConstant& from, Shape shape) {
  if (element_count(shape) != from.count()) {
    refuse(node, fmt::format("makes {} of {} numbers", to_string(shape), from.count()));
  }
  OnnxConstant result = from;
  result.shape = std::move(shape);
  return result;
}

int64_t axis_of(const NodeProto& node, int64_t axis, size_t dimensions) {
  const auto count = int64_t(dimensions);
  if (axis < -count || axis >= count) refuse(node, fmt::format("has no dimension {}", axis));
  return axis < 0 ? axis + count : axis;
}

/// Axes are an attribute, and an input from version 13 on.
std::vector<int64_t> axes_of(const NodeProto& node, Inputs inputs) {
  if (inputs.size() > 1 && inputs[1]) return inputs[1]->integers;
  return integers_of(node, "axes", {});
}

/// Numbers of one kind, as they are computed.
class Numbers {
 public:
  explicit Numbers(bool integer) : integer_(integer) {}

  void add(const OnnxConstant& from, size_t index) {
    if (integer_) {
      integers_.push_back(from.integers[index]);
    } else {
      floats_.push_back((*from.floats)[index]);
    }
  }
  /// An integer is what is left of a number without its fraction.
  void add(double number) {
    if (integer_) {
      integers_.push_back(int64_t(number));
    } else {
      floats_.push_back(float(number));
    }
  }
  int64_t count() const { return int64_t(integers_.size() + floats_.size()); }
  OnnxConstant in_shape(Shape shape) {
    if (!integer_) return OnnxConstant::of_floats(std::move(shape), std::move(floats_));
    return {.shape = std::move(shape), .integer = true, .integers = std::move(integers_)};
  }

 private:
  bool integer_;
  std::vector<int64_t> integers_;
  std::vector<float> floats_;
};

OnnxConstant identity(const NodeProto& node, Inputs inputs) {
  return input(node, inputs, 0);
}

OnnxConstant cast(const NodeProto& node, Inputs inputs) {
  const OnnxConstant& from = input(node, inputs, 0);
  const int64_t type = integer_of(node, "to", 0);
  const bool to_integer = type == onnx::TensorProto::INT64 || type == onnx::TensorProto::INT32 ||
                          type == onnx::TensorProto::BOOL;
  if (to_integer == from.integer) return from;
  check_small(node, from.count());
  Numbers numbers(to_integer);
  for (size_t i = 0; i < size_t(from.count()); ++i) {
    const double value = from.at(i);
    const double finite = std::isnan(value) ? 0 : std::clamp(value, -kMost, kMost);
    numbers.add(to_integer ? finite : value);
  }
  return numbers.in_shape(from.shape);
}

OnnxConstant reshape(const NodeProto& node, Inputs inputs) {
  const OnnxConstant& from = input(node, inputs, 0);
  return shaped(node, from, reshaped(node, from.shape, input(node, inputs, 1).integers));
}

OnnxConstant unsqueeze(const NodeProto& node, Inputs inputs) {
  const OnnxConstant& from = input(node, inputs, 0);
  const std::vector<int64_t> axes = axes_of(node, inputs);
  Shape shape = from.shape;
  std::vector<int64_t> sorted;
  for (const int64_t axis : axes) {
    sorted.push_back(axis_of(node, axis, from.shape.size() + axes.size()));
  }
  std::sort(sorted.begin(), sorted.end());
  for (const int64_t axis : sorted) {
    if (axis > int64_t(shape.size())) refuse(node, "names a dimension twice");
    shape.insert(shape.begin() + axis, 1);
  }
  return shaped(node, from, std::move(shape));
}

OnnxConstant squeeze(const NodeProto& node, Inputs inputs) {
  const OnnxConstant& from = input(node, inputs, 0);
  std::vector<bool> removed(from.shape.size());
  const std::vector<int64_t> axes = axes_of(node, inputs);
  for (const int64_t axis : axes) removed[size_t(axis_of(node, axis, from.shape.size()))] = true;
  Shape shape;
  for (size_t i = 0; i < from.shape.size(); ++i) {
    if (axes.empty() ? from.shape[i] != 1 : !removed[i]) shape.push_back(from.shape[i]);
  }
  return shaped(node, from, std::move(shape));
}

/// Elements picked from one dimension's numbers.
OnnxConstant picked(const NodeProto& node, const OnnxConstant& from,
                    const std::vector<int64_t>& indices, Shape shape) {
  if (from.shape.size() != 1) refuse(node, "picks from numbers of more than one dimension");
  check_small(node, int64_t(indices.size()));
  Numbers numbers(from.integer);
  for (const int64_t index : indices) {
    numbers.add(from, size_t(axis_of(node, index, size_t(from.count()))));
  }
  return numbers.in_shape(std::move(shape));
}

OnnxConstant gather(const NodeProto& node, Inputs inputs) {
  if (integer_of(node, "axis", 0) != 0) refuse(node, "gathers along another dimension than 0");
  const OnnxConstant& indices = input(node, inputs, 1);
  return picked(node, input(node, inputs, 0), indices.integers, indices.shape);
}

OnnxConstant slice(const NodeProto& node, Inputs inputs) {
  const OnnxConstant& from = input(node, inputs, 0);
  if (from.shape.size() != 1) refuse(node, "cuts numbers of more than one dimension");
  const SliceRange range = slice_ranges(node, inputs, from.shape)[0];
  std::vector<int64_t> indices;
  for (int64_t i = range.begin; range.step > 0 ? i < range.end : i > range.end; i += range.step) {
    check_small(node, int64_t(indices.size()));
    indices.push_back(i);
  }
  const auto count = int64_t(indices.size());
  return picked(node, from, indices, {count});
}

OnnxConstant concat(const NodeProto& node, Inputs inputs) {
  const bool integer = input(node, inputs, 0).integer;
  Numbers numbers(integer);
  for (size_t k = 0; k < inputs.size(); ++k) {
    const OnnxConstant& from = input(node, inputs, k);
    if (from.shape.size() != 1 || from.integer != integer) {
      refuse(node, "joins numbers that do not fit together");
    }
    check_small(node, numbers.count() + from.count());
    for (size_t i = 0; i < size_t(from.count()); ++i) numbers.add(from, i);
  }
  const int64_t count = numbers.count();
  return numbers.in_shape({count});
}

/// One side may be a single number.
OnnxConstant arithmetic(const NodeProto& node, Inputs inputs) {
  const OnnxConstant& a = input(node, inputs, 0);
  const OnnxConstant& b = input(node, inputs, 1);
  const int64_t count = std::max(a.count(), b.count());
  check_small(node, count);
  if ((a.count() != 1 && a.count() != count) || (b.count() != 1 && b.count() != count) ||
      a.integer != b.integer || count == 0) {
    refuse(node, "computes with numbers that do not fit together");
  }
  const std::string& op = node.op_type();
  Numbers numbers(a.integer);
  for (size_t i = 0; i < size_t(count); ++i) {
    const double x = a.at(a.count() == 1 ? 0 : i);
    const double y = b.at(b.count() == 1 ? 0 : i);
    if (op == "Div" && y == 0) refuse(node, "divides by zero");
    const double value = op == "Add" ? x + y : op == "Sub" ? x - y : op == "Mul" ? x * y : x / y;
    if (a.integer && !(std::abs(value) <= kMost)) {
      refuse(node, "computes a number beyond all sizes");
    }
    numbers.add(value);
  }
  return numbers.in_shape(a.count() == count ? a.shape : b.shape);
}

OnnxConstant rounded(const NodeProto& node, Inputs inputs) {
  const OnnxConstant& from = input(node, inputs, 0);
  if (from.integer) return from;
  check_small(node, from.count());
  std::vector<float> floats = *from.floats;
  const bool down = node.op_type() == "Floor";
  for (float& value : floats) value = down ? std::floor(value) : std::ceil(value);
  return OnnxConstant::of_floats(from.shape, std::move(floats));
}

OnnxConstant shape_of(const NodeProto& node, Inputs inputs) {
  return OnnxConstant::of_integers(input(node, inputs, 0).shape);
}

struct Evaluator {
  std::string_view type;
  OnnxConstant (*evaluate)(const NodeProto& node, Inputs inputs);
};
constexpr Evaluator kEvaluators[] = {
    {"Identity", identity}, {"Cast", cast},      {"Reshape", reshape}, {"Unsqueeze", unsqueeze},
    {"Squeeze", squeeze},   {"Gather", gather},  {"Slice", slice},     {"Concat", concat},
    {"Add", arithmetic},    {"Sub", arithmetic}, {"Mul", arithmetic},  {"Div", arithmetic},
    {"Floor", rounded},     {"Ceil", rounded},   {"Shape", shape_of},
};

}  // namespace

std::optional<OnnxConstant> evaluate(const NodeProto& node, Inputs inputs) {
  for (const Evaluator& evaluator : kEvaluators) {
    if (evaluator.type == node.op_type()) return evaluator.evaluate(node, inputs);
  }
  return std::nullopt;
}

Shape reshaped(const NodeProto& node, const Shape& from, const std::vector<int64_t>& to) {
  Shape shape = to;
  int64_t known = 1;
  std::optional<size_t> open;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && i < from.size()) shape[i] = from[i];
    if (shape[i] == -1 && !open) {
      open = i;
    } else if (shape[i] < 0 || shape[i] > kMostComputed || known > (int64_t(1) << 40)) {
      refuse(node, fmt::format("has an impossible shape, {}", fmt::join(to, "x")));
    } else {
      known *= shape[i];
    }
  }
  const auto count = element_count(from);
  if (open && count && known > 0) shape[*open] = *count / known;
  if (!count || element_count(shape) != count) {
    refuse(node, fmt::format("makes {} of {}", fmt::join(to, "x"), to_string(from)));
  }
  return shape;
}

std::vector<SliceRange> slice_ranges(const NodeProto& node, Inputs inputs, const Shape& shape) {
  // Attributes, and inputs from version 10 on.
  const auto numbers = [&](size_t index, const char* attribute) {
    if (index < inputs.size() && inputs[index]) return inputs[index]->integers;
    return integers_of(node, attribute, {});
  };
  const std::vector<int64_t> starts = numbers(1, "starts");
  const std::vector<int64_t> ends = numbers(2, "ends");
  const std::vector<int64_t> axes = numbers(3, "axes");
  const std::vector<int64_t> steps = numbers(4, "steps");
  std::vector<SliceRange> ranges;
  for (const int64_t size : shape) ranges.push_back({0, size, 1});
  for (size_t i = 0; i < starts.size(); ++i) {
    const bool fits =
        i < ends.size() && (axes.empty() || i < axes.size()) && (steps.empty() || i < steps.size());
    if (!fits) refuse(node, "has numbers of starts, ends, axes and steps that differ");
    const auto axis = size_t(axis_of(node, axes.empty() ? int64_t(i) : axes[i], shape.size()));
    const int64_t step = steps.empty() ? 1 : steps[i];
    const int64_t size = shape[axis];
    if (step == 0) refuse(node, "has a step of 0");
    const auto place = [&](int64_t at, int64_t least, int64_t most) {
      return std::clamp(at < 0 ? std::max(at, -size - 1) + size : at, least, most);
    };
    ranges[axis] =
        step > 0 ? SliceRange{place(starts[i], 0, size), place(ends[i], 0, size), step}
                 : SliceRange{place(starts[i], -1, size - 1), place(ends[i], -1, size - 1), step};
  }
  return ranges;
}

}  // namespace upres
