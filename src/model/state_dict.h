// SPDX-License-Identifier: Apache-2.0
// Named weights, as a model file holds them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace upres {

/// Tensors by name, in the file's order. Names are unique. Copies share the tensors' memory.
class StateDict {
 public:
  /// Error{model} when the name is there already.
  void add(std::string name, Tensor tensor);

  /// Null when there is no such tensor.
  const Tensor* find(std::string_view name) const;

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  std::vector<std::pair<std::string, Tensor>> entries_;
  std::unordered_map<std::string, size_t> index_;
};

/// Asked by a reader before it reads tensors' elements, with outlines of the tensors (names, types,
/// shapes): throws Error{model} where they are not wanted, so that no time and memory go into a
/// file that is refused anyway.
using CheckOutline = std::function<void(const StateDict& outline)>;

/// Takes every file.
inline void accept_any(const StateDict&) {}

}  // namespace upres
