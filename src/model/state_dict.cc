// SPDX-License-Identifier: Apache-2.0
#include "model/state_dict.h"

#include "base/error.h"

namespace upres {

void StateDict::add(std::string name, Tensor tensor) {
  if (!index_.emplace(name, entries_.size()).second) {
    fail(ErrorCode::model, "two tensors are called {}", name);
  }
  entries_.emplace_back(std::move(name), std::move(tensor));
}

const Tensor* StateDict::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

}  // namespace upres
