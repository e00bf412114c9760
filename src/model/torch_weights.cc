// SPDX-License-Identifier: Apache-2.0
#include "model/torch_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace upres {
namespace {

// What a file may become in memory: this many times its size, and kSmallFile more for small ones.
// Weights hardly compress, and a storage is held beside the tensors made from it; but whole tensors
// of zeros do occur.
constexpr uint64_t kMaxExpansion = 32;
constexpr uint64_t kSmallFile = 16 << 20;

/// Where weights may lie in a file's dict, in order of preference.
constexpr std::string_view kWrappers[] = {
    // averages over the training steps: what makers publish and measure
    "params_ema", "g_ema", "ema", "model_ema",
    // keys that say that weights are in them
    "params", "state_dict", "model_state_dict",
    // one network among others, as GANs and their trainers save them
    "generator", "netG", "net_g", "net", "model"};

// {"net": {"params": {...}}} is the deepest that is published.
constexpr int kMaxWrappers = 2;

bool holds_tensors(const Pickle& pickle, const Pickle::Dict& dict) {
  return std::any_of(dict.entries.begin(), dict.entries.end(), [&](const auto& entry) {
    return pickle.as<std::string_view>(entry.first) &&
           pickle.as<Pickle::StridedTensor>(entry.second);
  });
}

/// The dicts in `dict` under each of kWrappers; null where there is none.
std::array<const Pickle::Dict*, std::size(kWrappers)> wrapped_in(const Pickle& pickle,
                                                                 const Pickle::Dict& dict) {
  std::array<const Pickle::Dict*, std::size(kWrappers)> found{};
  for (const auto& [key, value] : dict.entries) {
    const auto* name = pickle.as<std::string_view>(key);
    const auto* inner = pickle.as<Pickle::Dict>(value);
    if (!name || !inner) continue;
    const auto known = std::find(std::begin(kWrappers), std::end(kWrappers), *name);
    if (known != std::end(kWrappers)) found[size_t(known - std::begin(kWrappers))] = inner;
  }
  return found;
}

/// The dict of tensors: what the first wrapper holds in which there are tensors, directly or under
/// up to `wrappers - 1` others, else `dict` itself; null when there are none in it.
const Pickle::Dict* find_tensors(const Pickle& pickle, const Pickle::Dict& dict, int wrappers) {
  if (wrappers > 0) {
    for (const Pickle::Dict* inner : wrapped_in(pickle, dict)) {
      if (!inner) continue;
      if (const auto* found = find_tensors(pickle, *inner, wrappers - 1)) return found;
    }
  }
  return holds_tensors(pickle, dict) ? &dict : nullptr;
}

const Pickle::Dict& weights_of(const Pickle& pickle) {
  const auto* root = pickle.as<Pickle::Dict>(pickle.root);
  if (!root) fail(ErrorCode::model, "the file holds no dict, so that its weights have no names");
  const auto* found = find_tensors(pickle, *root, kMaxWrappers);
  if (!found) {
    fail(ErrorCode::model, "the file holds no weights: no tensors in its dict, nor under {}",
         fmt::join(kWrappers, ", "));
  }
  return *found;
}

bool is_contiguous(const Pickle::StridedTensor& tensor) {
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

/// Copies `count` elements of `size` bytes in row-major order of the tensor's shape.
void gather(const Pickle::StridedTensor& tensor, int64_t count, size_t size, const std::byte* src,
            std::byte* dst) {
  std::vector<int64_t> index(tensor.shape.size(), 0);
  int64_t element = tensor.offset;
  for (int64_t done = 0; done < count; ++done, dst += size) {
    std::memcpy(dst, src + size_t(element) * size, size);
    for (size_t i = index.size(); i-- > 0;) {  // to the next index, innermost first
      element += tensor.strides[i];
      if (++index[i] < tensor.shape[i]) break;
      element -= tensor.strides[i] * tensor.shape[i];
      index[i] = 0;
    }
  }
}

void swap_bytes(Buffer& elements, size_t element_bytes) {
  std::byte* const end = elements.data() + elements.size_bytes();
  for (std::byte* element = elements.data(); element != end; element += element_bytes) {
    std::reverse(element, element + element_bytes);
  }
}

Tensor contiguous(const Pickle::StridedTensor& tensor, const Pickle::Storage& storage,
                  ByteOrder order, MemoryBudget& budget, const FindStorage& find_storage) {
  const std::byte* elements = find_storage(storage).data();
  const int64_t count = element_count(tensor.shape).value_or(0);
  const size_t element_bytes = size_bytes(storage.dtype);
  budget.spend(uint64_t(count) * element_bytes);
  Buffer buffer(uint64_t(count) * element_bytes);
  if (count > 0 && is_contiguous(tensor)) {
    std::memcpy(buffer.data(), elements + size_t(tensor.offset) * element_bytes,
                buffer.size_bytes());
  } else {
    gather(tensor, count, element_bytes, elements, buffer.data());
  }
  if (order == ByteOrder::big) swap_bytes(buffer, element_bytes);
  return Tensor(storage.dtype, tensor.shape, std::move(buffer));
}

/// The tensors of a dict under their names, each as `make(tensor, storage)` has it.
template <typename Make>
StateDict tensors_of(const Pickle& pickle, const Pickle::Dict& dict, const Make& make) {
  StateDict tensors;
  for (const auto& [key, value] : dict.entries) {
    const auto* name = pickle.as<std::string_view>(key);
    const auto* tensor = pickle.as<Pickle::StridedTensor>(value);
    if (!name || !tensor) continue;
    tensors.add(std::string(*name), make(*tensor, *pickle.as<Pickle::Storage>(tensor->storage)));
  }
  return tensors;
}

}  // namespace

MemoryBudget::MemoryBudget(size_t file_bytes)
    : left_bytes_(file_bytes * kMaxExpansion + kSmallFile) {}

void MemoryBudget::spend(uint64_t size_bytes) {
  if (size_bytes > left_bytes_) {
    fail(ErrorCode::model,
         "its tensors would take more than {} times the file's size in memory, as no real "
         "weights do",
         kMaxExpansion);
  }
  left_bytes_ -= size_bytes;
}

StateDict weights_in(const Pickle& pickle, ByteOrder order, MemoryBudget& budget,
                     const FindStorage& find_storage, const CheckOutline& check) {
  const Pickle::Dict& dict = weights_of(pickle);
  check(tensors_of(pickle, dict, [](const auto& tensor, const auto& storage) {
    return Tensor::outline(storage.dtype, tensor.shape);
  }));
  return tensors_of(pickle, dict, [&](const auto& tensor, const auto& storage) {
    return contiguous(tensor, storage, order, budget, find_storage);
  });
}

}  // namespace upres
