// SPDX-License-Identifier: Apache-2.0
// ONNX's messages as Debian's libonnx has them, and what is asked of them most. Everything in a
// file is hostile: no function here trusts a type, a size or a name.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace upres {

/// The model of a file's bytes. Error{model} when they are not one.
onnx::ModelProto parse_onnx(std::span<const std::byte> bytes);

/// Version of the standard operators that a model asks for. Error{model} when it does not say.
int64_t opset_of(const onnx::ModelProto& model);

/// Error{model} about a node: "node /Resize (Resize) …".
[[noreturn]] void refuse(const onnx::NodeProto& node, std::string_view why);

// A node's attributes; `fallback` where it has none of the name. Error{model} where one is of
// another type.
int64_t integer_of(const onnx::NodeProto& node, std::string_view name, int64_t fallback);
float real_of(const onnx::NodeProto& node, std::string_view name, float fallback);
std::string text_of(const onnx::NodeProto& node, std::string_view name, std::string_view fallback);
std::vector<int64_t> integers_of(const onnx::NodeProto& node, std::string_view name,
                                 std::vector<int64_t> fallback);
/// Null when there is none.
const onnx::TensorProto* tensor_of(const onnx::NodeProto& node, std::string_view name);
bool has_attribute(const onnx::NodeProto& node, std::string_view name);

}  // namespace upres
