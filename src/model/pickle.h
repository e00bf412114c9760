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
    int64_t count;  ///< elements under the key
    /// The part of them that tensors count from and stay in; all of them but for PyTorch before
    /// 0.4. It lies within the storage.
    int64_t view_offset;
    int64_t view_count;
  };
  /// A tensor over a storage: element (i, j, ...) is number offset + i * strides[0] + ... of all
  /// under its key. Every element lies within the storage's view, and there are no more of them
  /// than the view has.
  struct StridedTensor {
    Id storage;  ///< a Storage
    int64_t offset;
    Shape shape;
    std::vector<int64_t> strides;
  };
  /// A tensor that is described beside the pickle, as in tar files (legacy_tar.h).
  struct Reference {
    std::string_view key;
  };
  /// The functions that a pickle may call.
  enum class Function : uint8_t {
    ordered_dict,
    counter,
    size,
    rebuild_tensor_v1,
    rebuild_tensor_v2,
    rebuild_parameter
  };

  using Value = std::variant<None, bool, int64_t, double, std::string_view, Sequence, Dict, Storage,
                             StridedTensor, Reference, Function, DType>;

  std::deque<Value> values;
  Id root = 0;
  size_t size_bytes = 0;  ///< the pickle's own length: others may follow it

  /// The value as a T; null when it is of another type.
  template <typename T>
  const T* as(Id id) const {
    return std::get_if<T>(&values[id]);
  }
};

/// Convolutions have 4; a shape is copied by each tensor, so that it must not grow.
constexpr size_t kMaxDimensions = 8;

/// The most tensors in a file: the largest checkpoints have 9000. Each may take 200 bytes beyond a
/// value's.
constexpr size_t kMaxTensors = size_t{1} << 16;

/// The longest pickle that is run. That of RealESRGAN_x4plus, 702 tensors, has 0.1 MB; a checkpoint
/// of a transformer with its optimiser's state 2 MB.
constexpr size_t kMaxPickleBytes = 8 << 20;

/// The most values that a pickle makes. A training checkpoint of 3000 tensors with an optimiser's
/// state makes about 250,000. Twice that takes 60 MB here, and no more than that whatever the file
/// says.
constexpr size_t kMaxPickleValues = size_t{1} << 19;

/// Error{model} unless each element of a tensor, whose offset counts from the view's first element,
/// lies within the storage's view, and there are no more of them than the view has.
void check_lies_in_storage(const Pickle::StridedTensor& tensor, const Pickle::Storage& storage);
/// Error{model} unless the storage's view lies within the storage.
void check_lies_in_storage(const Pickle::Storage& view);

/// Runs the pickle of protocol 2 to 5, by Python 2 or 3, that `bytes` begin with. Error{model}
/// where it is damaged, asks for a name or an opcode that tensors do not need, describes a tensor
/// that does not lie in its storage, makes more than `max_values`, or exceeds the limits above and
/// in pickle.cc.
Pickle unpickle(std::span<const std::byte> bytes, size_t max_values = kMaxPickleValues);

}  // namespace upres
