// SPDX-License-Identifier: Apache-2.0
#include "model/blend.h"

#include <vector>

#include "base/error.h"

namespace upres {
namespace {

void check_same_shape(const std::string& name, const Tensor& tensor, const Tensor* other) {
  if (!other) fail(ErrorCode::model, "the other has no tensor {}", name);
  if (other->shape() != tensor.shape()) {
    fail(ErrorCode::model, "tensor {} is {} in one and {} in the other", name,
         to_string(tensor.shape()), to_string(other->shape()));
  }
}

Tensor blend(const Tensor& a, const Tensor& b, double weight) {
  std::vector<float> mixed = a.to_floats();
  const std::vector<float> other = b.to_floats();
  for (size_t i = 0; i < mixed.size(); ++i) {
    mixed[i] = float((1 - weight) * double(mixed[i]) + weight * double(other[i]));
  }
  return Tensor::from_floats(a.shape(), mixed);
}

}  // namespace

StateDict blend(const StateDict& a, const StateDict& b, double weight) {
  StateDict result;
  for (const auto& [name, tensor] : a) {
    const Tensor* other = b.find(name);
    check_same_shape(name, tensor, other);
    result.add(name, blend(tensor, *other, weight));
  }
  for (const auto& [name, tensor] : b) {
    if (!a.find(name)) fail(ErrorCode::model, "only the other has a tensor {}", name);
  }
  return result;
}

}  // namespace upres
