// SPDX-License-Identifier: Apache-2.0
// From what torch.save() pickled to weights: the same for all the containers it has had.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "model/pickle.h"
#include "model/state_dict.h"

namespace upres {

/// The order in which a file's storages have the bytes of a number.
enum class ByteOrder : uint8_t { little, big };

/// What reading a file may still allocate, by its size: a few bytes can describe many large
/// tensors.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t file_bytes);

  /// Error{model} when less is left.
  void spend(uint64_t size_bytes);

 private:
  uint64_t left_bytes_;
};

/// Finds the elements of a storage, all `count` of them: the bytes outlive the weights' making.
/// Error{model} when they are not there or their number is another one.
using FindStorage = std::function<std::span<const std::byte>(const Pickle::Storage&)>;

/// The tensors of the pickled dict, or of the dict in it that a wrapper names (params_ema, params,
/// ..., or one under another: the list and its order are in torch_weights.cc), under their names
/// there. They are contiguous and of the file's element types. What is not a tensor is passed over,
/// such as an optimiser's state. Error{model} when there are no tensors.
///
/// A prefix that all names share, such as the "generator." of a PyTorch Lightning checkpoint,
/// stays: "model." is also how ESRGAN of 2018 names its layers, and among "generator." and
/// "discriminator." only an architecture knows its own.
///
/// `check` is asked before the first storage is looked for.
StateDict weights_in(const Pickle& pickle, ByteOrder order, MemoryBudget& budget,
                     const FindStorage& find_storage, const CheckOutline& check);

}  // namespace upres
