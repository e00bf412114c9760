// SPDX-License-Identifier: Apache-2.0
//
//   pickle           a magic number
//   pickle           1001, the protocol's version
//   pickle           a dict about the machine: its byte order and the sizes of C's types
//   pickle           the state dict, its tensors as references to storages: see pickle.h
//   pickle           a list of the storages' keys
//   for each key     its number of elements in 8 bytes, and the elements
//
// Numbers after the pickles are little-endian whatever the dict about the machine says: PyTorch
// swapped their bytes when it saved on another one.
#include "model/legacy_pth.h"

#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "model/cursor.h"
#include "model/pickle.h"
#include "model/torch_weights.h"

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

constexpr int64_t kProtocol = 1001;

// What the pickles around the state dict's may hold: the list of storages has an entry for each
// tensor, 9000 in a large checkpoint. It is in memory together with the state dict.
constexpr size_t kMaxSmallPickleValues = size_t{1} << 16;

class Reader {
 public:
  explicit Reader(Bytes file) : file_(file), in_(file, "the file") {}

  StateDict read(const CheckOutline& check) {
    in_.take(kLegacyPthMagic.size());
    check_protocol(next_pickle(kMaxSmallPickleValues));
    next_pickle(kMaxSmallPickleValues);  // about the machine
    const Pickle object = next_pickle(kMaxPickleValues);
    const Pickle keys = next_pickle(kMaxSmallPickleValues);
    find_storages(object, keys);
    MemoryBudget budget(file_.size());
    return weights_in(
        object, ByteOrder::little, budget,
        [&](const Pickle::Storage& storage) { return elements_of(storage); }, check);
  }

 private:
  /// Elements of a storage, in the file.
  struct Stored {
    Pickle::Storage storage;  ///< as the first tensor that refers to it describes it
    Bytes elements;
    bool found = false;
  };

  Pickle next_pickle(size_t max_values) {
    Pickle pickle = unpickle(file_.subspan(in_.position()), max_values);
    in_.take(pickle.size_bytes);
    return pickle;
  }

  static void check_protocol(const Pickle& pickle) {
    const auto* version = pickle.as<int64_t>(pickle.root);
    if (!version || *version != kProtocol) {
      fail(ErrorCode::model,
           "the file is of another protocol than {}; load it with PyTorch and save it with "
           "torch.save again",
           kProtocol);
    }
  }

  /// Finds the elements of all keys. How large one is, only the tensors that refer to it tell.
  void find_storages(const Pickle& object, const Pickle& keys) {
    for (const Pickle::Value& value : object.values) {
      const auto* storage = std::get_if<Pickle::Storage>(&value);
      if (storage) stored_.try_emplace(storage->key, Stored{*storage, {}, false});
    }
    const auto* list = keys.as<Pickle::Sequence>(keys.root);
    if (!list) fail(ErrorCode::model, "the file has no list of storages behind its pickle");
    for (const Pickle::Id id : list->items) {
      const auto* key = keys.as<std::string_view>(id);
      const auto known = key ? stored_.find(*key) : stored_.end();
      if (known == stored_.end() || known->second.found) {
        fail(ErrorCode::model, "the file's list of storages names {}, {}", key ? *key : "no text",
             known == stored_.end() ? "which no tensor is in" : "twice");
      }
      read_elements(known->second);
    }
  }

  void read_elements(Stored& stored) {
    const auto count = in_.read<int64_t>();
    const Pickle::Storage& storage = stored.storage;
    if (count != storage.count) {
      fail(ErrorCode::model, "storage {} has {} elements, its tensors expect {}", storage.key,
           count, storage.count);
    }
    const auto element_bytes = uint64_t(size_bytes(storage.dtype));
    if (count < 0 || uint64_t(count) > in_.remaining() / element_bytes) {
      fail(ErrorCode::model, "the file is cut short: storage {} of {} x {} at byte {} of {}",
           storage.key, count, name(storage.dtype), in_.position(), file_.size());
    }
    stored.elements = in_.take(uint64_t(count) * element_bytes);
    stored.found = true;
  }

  Bytes elements_of(const Pickle::Storage& storage) const {
    const Stored& stored = stored_.at(storage.key);
    if (!stored.found) {
      fail(ErrorCode::model, "storage {} is not in the file's list of storages", storage.key);
    }
    if (storage.count != stored.storage.count || storage.dtype != stored.storage.dtype) {
      fail(ErrorCode::model, "storage {} is {} x {} to one tensor and {} x {} to another",
           storage.key, stored.storage.count, name(stored.storage.dtype), storage.count,
           name(storage.dtype));
    }
    return stored.elements;
  }

  Bytes file_;
  Cursor in_;
  std::unordered_map<std::string_view, Stored> stored_;
};

}  // namespace

// What follows the last storage is left alone, as PyTorch does: a stream may hold several objects.
StateDict read_legacy_pth(Bytes file, const CheckOutline& check) {
  return Reader(file).read(check);
}

}  // namespace upres
