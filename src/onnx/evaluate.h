// SPDX-License-Identifier: Apache-2.0
// What exporters leave to be computed when a network runs, although sizes alone decide it: chains
// like Shape -> Gather -> Mul -> Concat before a Resize or a Reshape.
#pragma once

#include <optional>
#include <span>

#include "onnx/constant.h"

namespace upres {

/// The result of a node all of whose inputs are known (null: left out). Nothing when its operator
/// is none of those that are met in such chains; Error{model} where one does not fit its inputs.
std::optional<OnnxConstant> evaluate(const onnx::NodeProto& node,
                                     std::span<const OnnxConstant* const> inputs);

/// The shape that Reshape's numbers mean, of a tensor of the shape `from`: 0 keeps a size, -1 is
/// what is left.
Shape reshaped(const onnx::NodeProto& node, const Shape& from, const std::vector<int64_t>& to);

/// What Slice keeps of a dimension: begin, begin + step, … before `end` (beyond it, counting down).
struct SliceRange {
  int64_t begin, end, step;
};
/// One for each dimension of `shape`.
std::vector<SliceRange> slice_ranges(const onnx::NodeProto& node,
                                     std::span<const OnnxConstant* const> inputs,
                                     const Shape& shape);

}  // namespace upres
