// SPDX-License-Identifier: Apache-2.0
#include "onnx/proto.h"

#include <google/protobuf/stubs/logging.h>

#include <limits>

#include "base/error.h"

namespace upres {
namespace {

using onnx::AttributeProto;

/// Null when there is none. Files of before the types were written down have 0 for one.
const AttributeProto* find(const onnx::NodeProto& node, std::string_view name,
                           AttributeProto::AttributeType type) {
  for (const AttributeProto& attribute : node.attribute()) {
    if (attribute.name() != name) continue;
    if (attribute.type() != type && attribute.type() != AttributeProto::UNDEFINED) {
      refuse(node, fmt::format("has an attribute {} of another type than it should", name));
    }
    return &attribute;
  }
  return nullptr;
}

}  // namespace

onnx::ModelProto parse_onnx(std::span<const std::byte> bytes) {
  onnx::ModelProto model;
  const google::protobuf::LogSilencer silent;
  if (bytes.size() > size_t(std::numeric_limits<int>::max()) ||
      !model.ParseFromArray(bytes.data(), int(bytes.size())) || !model.has_graph()) {
    fail(ErrorCode::model, "this is no whole ONNX file; get it again");
  }
  return model;
}

int64_t opset_of(const onnx::ModelProto& model) {
  for (const auto& opset : model.opset_import()) {
    if (opset.domain().empty() || opset.domain() == "ai.onnx") return opset.version();
  }
  fail(ErrorCode::model, "the file does not say which version of ONNX's operators it uses");
}

void refuse(const onnx::NodeProto& node, std::string_view why) {
  const std::string& name =
      node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name();
  fail(ErrorCode::model, "node {} ({}) {}", name, node.op_type(), why);
}

int64_t integer_of(const onnx::NodeProto& node, std::string_view name, int64_t fallback) {
  const AttributeProto* attribute = find(node, name, AttributeProto::INT);
  return attribute ? attribute->i() : fallback;
}

float real_of(const onnx::NodeProto& node, std::string_view name, float fallback) {
  const AttributeProto* attribute = find(node, name, AttributeProto::FLOAT);
  return attribute ? attribute->f() : fallback;
}

std::string text_of(const onnx::NodeProto& node, std::string_view name, std::string_view fallback) {
  const AttributeProto* attribute = find(node, name, AttributeProto::STRING);
  return attribute ? attribute->s() : std::string(fallback);
}

std::vector<int64_t> integers_of(const onnx::NodeProto& node, std::string_view name,
                                 std::vector<int64_t> fallback) {
  const AttributeProto* attribute = find(node, name, AttributeProto::INTS);
  if (!attribute) return fallback;
  return {attribute->ints().begin(), attribute->ints().end()};
}

const onnx::TensorProto* tensor_of(const onnx::NodeProto& node, std::string_view name) {
  const AttributeProto* attribute = find(node, name, AttributeProto::TENSOR);
  return attribute ? &attribute->t() : nullptr;
}

bool has_attribute(const onnx::NodeProto& node, std::string_view name) {
  for (const AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == name) return true;
  }
  return false;
}

}  // namespace upres
