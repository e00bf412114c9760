// SPDX-License-Identifier: Apache-2.0
// Tensors of an ONNX file whose elements are known: weights, and numbers that sizes come from.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "graph/op.h"
#include "onnx/proto.h"
#include "tensor/tensor.h"

namespace upres {

/// One tensor, row-major. Copies share the floats.
struct OnnxConstant {
  Shape shape;
  bool integer = false;           ///< whether it holds integers (and booleans)
  bool half = false;              ///< whether its floats were of 16 bits in the file
  Weights floats = {};            ///< where it holds floats
  std::vector<int64_t> integers;  ///< where it holds integers

  int64_t count() const { return integer ? int64_t(integers.size()) : int64_t(floats->size()); }
  /// An element of either kind.
  double at(size_t index) const {
    return integer ? double(integers[index]) : double((*floats)[index]);
  }

  static OnnxConstant of_integers(std::vector<int64_t> values);  ///< of one dimension
  static OnnxConstant of_floats(Shape shape, std::vector<float> values);
};

/// The files beside a model that hold some of its tensors. They must lie in the model's folder, or
/// below it.
class OnnxExternalData {
 public:
  explicit OnnxExternalData(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// A piece of a file; valid as long as this object. `length` below 0: all that follows.
  /// Error{model} when the file is elsewhere, missing or too short.
  std::span<const std::byte> bytes(const std::string& location, int64_t offset, int64_t length);

 private:
  std::filesystem::path folder_;
  std::map<std::string, MappedFile> files_;
};

/// The elements of a tensor; its size is held to its shape before memory is allocated. Error{model}
/// where they do not fit, or the type is none of float, double, float16, bfloat16, bool and the
/// integers.
OnnxConstant read_constant(const onnx::TensorProto& tensor, OnnxExternalData& external);

}  // namespace upres
