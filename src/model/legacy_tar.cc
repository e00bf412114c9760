// SPDX-License-Identifier: Apache-2.0
//
// Three of the archive's members are read (legacy_load in PyTorch's torch/serialization.py):
//
//   storages   a pickled number, and for each storage a pickled (key, device, type), its number of
//              elements in 8 bytes, and the elements; then a pickled list of views into storages:
//              (key, key of the storage, offset, number of elements)
//   tensors    a pickled number, and for each tensor a pickled (key, key of its storage, type), its
//              number of dimensions in 8 bytes, of which 4 count, sizes, strides and offset
//   pickle     the state dict; tensors are references by their keys as text
//
// Keys are numbers. All others are little-endian, too.
#include "model/legacy_tar.h"

#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/cursor.h"
#include "model/pickle.h"
#include "model/torch_weights.h"

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

// PyTorch writes four members, Python's tarfile a header before each.
constexpr int kMaxMembers = 64;

// Of the pickles between the storages and the tensors: three items each, but for the list of views.
constexpr size_t kMaxSmallPickleValues = size_t{1} << 16;

/// A field of a member's header: text up to a zero byte.
std::string_view field(Bytes header, size_t offset, size_t length) {
  const std::string_view text(reinterpret_cast<const char*>(header.data()) + offset, length);
  return text.substr(0, text.find('\0'));
}

uint64_t size_of(Bytes header) {
  std::string_view digits = field(header, 124, 12);
  digits = digits.substr(0, digits.find(' '));
  uint64_t size = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), size, 8);
  if (error != std::errc() || end != digits.end()) {
    fail(ErrorCode::model, "the tar archive's member {} has no size", field(header, 0, 100));
  }
  return size;
}

/// The content of a regular file in the archive.
Bytes member(Bytes archive, std::string_view name) {
  constexpr size_t kBlock = 512;
  Cursor in(archive, "the tar archive");
  for (int i = 0; i < kMaxMembers && in.remaining() >= kBlock; ++i) {
    const Bytes header = in.take(kBlock);
    if (field(header, 0, 100).empty()) break;
    const uint64_t size = size_of(header);
    const Bytes content = in.take(size);
    const bool is_file = header[156] == std::byte{'0'} || header[156] == std::byte{0};
    if (is_file && field(header, 0, 100) == name) return content;
    in.take(std::min<uint64_t>((kBlock - size % kBlock) % kBlock, in.remaining()));
  }
  fail(ErrorCode::model,
       "a tar archive without {} was not made by torch.save; if a model file is in it, unpack that",
       name);
}

/// Reads pickles and what lies between them.
class Stream {
 public:
  Stream(Bytes bytes, std::string_view what) : bytes_(bytes), in_(bytes, what) {}

  Cursor& raw() { return in_; }

  Pickle pickle() {
    Pickle pickle = unpickle(bytes_.subspan(in_.position()), kMaxSmallPickleValues);
    in_.take(pickle.size_bytes);
    return pickle;
  }

 private:
  Bytes bytes_;
  Cursor in_;
};

template <typename T>
const T& as(const Pickle& pickle, Pickle::Id id) {
  const T* value = pickle.as<T>(id);
  if (!value) fail(ErrorCode::model, "the tar archive is damaged: it describes no tensors");
  return *value;
}

/// Item number `index` of the sequence `id`.
template <typename T>
const T& item(const Pickle& pickle, Pickle::Id id, size_t index) {
  const auto& items = as<Pickle::Sequence>(pickle, id).items;
  if (index >= items.size()) fail(ErrorCode::model, "the tar archive is damaged: too few items");
  return as<T>(pickle, items[index]);
}

int64_t count_in(Stream& stream, std::string_view what) {
  const Pickle pickle = stream.pickle();
  const auto count = as<int64_t>(pickle, pickle.root);
  if (count < 0 || uint64_t(count) > kMaxTensors) {
    fail(ErrorCode::model, "the tar archive has {} {}, far beyond any network", count, what);
  }
  return count;
}

class Reader {
 public:
  explicit Reader(Bytes file) : file_(file) {}

  StateDict read(const CheckOutline& check) {
    read_storages();
    read_tensors();
    Pickle pickle = unpickle(member(file_, "pickle"));
    resolve(pickle);
    MemoryBudget budget(file_.size());
    return weights_in(
        pickle, ByteOrder::little, budget,
        [&](const Pickle::Storage& storage) { return elements_.at(storage.key); }, check);
  }

 private:
  struct Tensor {
    Pickle::Storage storage;
    Pickle::StridedTensor tensor;
  };

  void read_storages() {
    Stream stream(member(file_, "storages"), "the tar archive's storages");
    for (auto left = count_in(stream, "storages"); left > 0; --left) {
      const Pickle description = stream.pickle();
      const auto key = item<int64_t>(description, description.root, 0);
      const auto type = item<DType>(description, description.root, 2);
      const auto count = stream.raw().read<int64_t>();
      if (count < 0 || uint64_t(count) > stream.raw().remaining() / size_bytes(type)) {
        fail(ErrorCode::model, "the tar archive is cut short: storage {} of {} x {}", key, count,
             name(type));
      }
      // Storages are told apart by keys that are text, which has to live somewhere.
      const std::string_view text = key_texts_[key] = fmt::format("{}", key);
      elements_[text] = stream.raw().take(uint64_t(count) * size_bytes(type));
      storages_[key] = {type, text, count, 0, count};
    }
    const Pickle views = stream.pickle();
    for (const Pickle::Id view : as<Pickle::Sequence>(views, views.root).items) {
      Pickle::Storage storage = storage_of(item<int64_t>(views, view, 1));
      storage.view_offset = item<int64_t>(views, view, 2);
      storage.view_count = item<int64_t>(views, view, 3);
      check_lies_in_storage(storage);
      storages_[item<int64_t>(views, view, 0)] = storage;
    }
  }

  void read_tensors() {
    Stream stream(member(file_, "tensors"), "the tar archive's tensors");
    for (auto left = count_in(stream, "tensors"); left > 0; --left) {
      const Pickle description = stream.pickle();
      const auto key = item<int64_t>(description, description.root, 0);
      const Pickle::Storage storage = storage_of(item<int64_t>(description, description.root, 1));
      Pickle::StridedTensor tensor{};
      const auto dimensions = stream.raw().read<uint32_t>();
      stream.raw().take(4);
      if (dimensions > kMaxDimensions) {
        fail(ErrorCode::model, "a tensor has {} dimensions, more than {}", dimensions,
             kMaxDimensions);
      }
      for (auto* sizes : {&tensor.shape, &tensor.strides}) {
        for (uint32_t i = 0; i < dimensions; ++i) sizes->push_back(stream.raw().read<int64_t>());
      }
      tensor.offset = stream.raw().read<int64_t>();
      check_lies_in_storage(tensor, storage);
      if (element_count(tensor.shape) != 0) tensor.offset += storage.view_offset;
      tensors_[key] = {storage, tensor};
    }
  }

  Pickle::Storage storage_of(int64_t key) const {
    const auto found = storages_.find(key);
    if (found == storages_.end()) {
      fail(ErrorCode::model, "storage {} is not among the tar archive's storages", key);
    }
    return found->second;
  }

  /// Puts tensors in the place of references.
  void resolve(Pickle& pickle) const {
    for (Pickle::Id id = 0, end = Pickle::Id(pickle.values.size()); id < end; ++id) {
      const auto* reference = pickle.as<Pickle::Reference>(id);
      if (!reference) continue;
      Tensor found = tensor_of(reference->key);
      found.tensor.storage = Pickle::Id(pickle.values.size());
      pickle.values.emplace_back(found.storage);
      pickle.values[id] = std::move(found.tensor);
    }
  }

  Tensor tensor_of(std::string_view text) const {
    int64_t key = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), key);
    const auto found = tensors_.find(key);
    if (error != std::errc() || end != text.end() || found == tensors_.end()) {
      fail(ErrorCode::model, "tensor {} is not among the tar archive's tensors", text);
    }
    return found->second;
  }

  Bytes file_;
  std::map<int64_t, std::string> key_texts_;
  std::map<std::string_view, Bytes> elements_;
  std::map<int64_t, Pickle::Storage> storages_;  ///< views, too
  std::map<int64_t, Tensor> tensors_;
};

}  // namespace

StateDict read_legacy_tar(Bytes file, const CheckOutline& check) {
  return Reader(file).read(check);
}

}  // namespace upres
