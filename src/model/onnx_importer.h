// SPDX-License-Identifier: Apache-2.0
// ONNX's operators as ours.
#pragma once

#include <string>
#include <unordered_map>

#include "model/onnx.h"
#include "onnx/constant.h"

namespace upres {

/// A graph whose weights are read once, to be imported for several sizes of input.
class OnnxImporter {
 public:
  /// Reads the weights. Both arguments must outlive the importer. Error{model} when there is not
  /// one input.
  OnnxImporter(const onnx::GraphProto& graph, OnnxExternalData& external);

  const onnx::ValueInfoProto& input() const { return *input_; }

  /// The network as it is for an input of this size, in pixels. Error{model} names the node that
  /// has no counterpart.
  OnnxNetwork import(Size size) const;

 private:
  const onnx::GraphProto& graph_;
  const onnx::ValueInfoProto* input_ = nullptr;
  std::unordered_map<std::string, OnnxConstant> weights_;  ///< initialisers, Constant nodes
};

}  // namespace upres
