// SPDX-License-Identifier: Apache-2.0
// The part of Python's pickle language that a state dict is written in.
//
// A pickle is a program for a stack machine that can call any function of any Python module. Ours
// knows the opcodes that build plain values and the few names that tensors need; every other one is
// refused by its name. Nothing is ever called: "calling" one of the known names makes a value
// below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/tensor.h"

namespace upres {

/// What a pickle made. All values lie in one list and refer to each other by index, so that neither
/// reading nor destroying them recurses, however deep a file nests them. Text is not copied: the
/// pickled bytes must outlive this.
struct Pickle {
  /// Index into `values`.
  using Id = uint32_t;

  struct None {};
  /// A list or a tuple.
  struct Sequence {
    std::vector<Id> items;
  };
  /// A dict or an OrderedDict; keys may be there twice.
  struct Dict {
    std::vector<std::pair<Id, Id>> entries;
  };
  /// Elements that lie beside the pickle, under `key`.
  struct Storage {
    DType dtype;
    std::string_view key;
    int64_t count;  ///< elements
  };
  /// A tensor over a storage: element (i, j, ...) is number offset + i * strides[0] + ... of it.
  /// Every element lies within the storage, and there are no more of them than the storage has.
  struct StridedTensor {
    Storage storage;
    int64_t offset;
    Shape shape;
    std::vector<int64_t> strides;
  };
  /// The functions that a pickle may call.
  enum class Function : uint8_t { ordered_dict, rebuild_tensor, rebuild_parameter };

  using Value = std::variant<None, bool, int64_t, double, std::string_view, Sequence, Dict, Storage,
                             StridedTensor, Function, DType>;

  std::deque<Value> values;
  Id root = 0;

  /// The value as a T; null when it is of another type.
  template <typename T>
  const T* as(Id id) const {
    return std::get_if<T>(&values[id]);
  }
};

/// Runs a pickle of protocol 2 to 5. Error{model} where it is damaged, asks for a name or an opcode
/// that tensors do not need, describes a tensor that does not lie in its storage, or exceeds the
/// limits in pickle.cc.
Pickle unpickle(std::span<const std::byte> bytes);

}  // namespace upres
