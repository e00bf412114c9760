// SPDX-License-Identifier: Apache-2.0
//
// The archive, under one folder of any name:
//
//   archive/data.pkl     the state dict, its tensors as references to storages: see pickle.h
//   archive/data/KEY     a storage's elements
//   archive/byteorder    "little" or "big" (PyTorch 2.1 and later)
#include "model/pth.h"

#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "model/pickle.h"
#include "model/zip_archive.h"

namespace upres {
namespace {

constexpr std::string_view kPickle = "data.pkl";

// That of RealESRGAN_x4plus, 702 tensors, has 0.1 MB; a checkpoint of a transformer with its
// optimiser's state 2 MB.
constexpr uint64_t kMaxPickleBytes = 8 << 20;

// What a file may become in memory: this many times its size, and kSmallFile more for small ones.
// Weights hardly compress, and a storage is held beside the tensors made from it; but whole tensors
// of zeros do occur.
constexpr uint64_t kMaxExpansion = 32;
constexpr uint64_t kSmallFile = 16 << 20;

/// Where weights may lie in a file's dict, in order of preference. params_ema is the average over
/// the training steps, which is what its makers publish.
constexpr std::string_view kWrappers[] = {"params_ema", "params", "state_dict", "net"};

/// The folder that holds data.pkl, with its slash.
std::string folder_of(const ZipArchive& archive) {
  std::string folder;
  for (const std::string_view name : archive.names()) {
    if (!name.ends_with(std::string("/").append(kPickle))) continue;
    if (!folder.empty()) {
      fail(ErrorCode::model, "the zip archive has two pickles, {}{} and {}", folder, kPickle, name);
    }
    folder = name.substr(0, name.size() - kPickle.size());
  }
  if (folder.empty()) {
    fail(ErrorCode::model,
         "a zip archive without data.pkl was not made by torch.save; if a model file is in it, "
         "unpack that");
  }
  return folder;
}

void refuse_torchscript(const ZipArchive& archive, const std::string& folder) {
  if (archive.size_of(folder + "constants.pkl")) {
    fail(ErrorCode::model,
         "this is a TorchScript program, which upres does not run; save its weights with "
         "torch.save(torch.jit.load(FILE).state_dict(), ...)");
  }
}

/// Entry `name` as bytes; `most` is the largest size that makes sense.
Buffer read_small(const ZipArchive& archive, const std::string& name, uint64_t most) {
  const uint64_t size = archive.size_of(name).value_or(0);
  if (size > most) {
    fail(ErrorCode::model, "the zip archive's entry {} has {} bytes, more than {}", name, size,
         most);
  }
  return archive.read(name);
}

void check_byte_order(const ZipArchive& archive, const std::string& folder) {
  if (!archive.size_of(folder + "byteorder")) return;  // PyTorch before 2.1: little
  const Buffer text = read_small(archive, folder + "byteorder", 16);
  const std::string_view order(reinterpret_cast<const char*>(text.data()), text.size_bytes());
  if (order != "little") {
    fail(ErrorCode::model,
         "its numbers are stored in byte order '{}', which upres does not read; load and save the "
         "file with PyTorch on a little-endian machine (x86, ARM)",
         order);
  }
}

const Pickle::Id* find(const Pickle& pickle, const Pickle::Dict& dict, std::string_view key) {
  for (const auto& [entry_key, value] : dict.entries) {
    const auto* text = pickle.as<std::string_view>(entry_key);
    if (text && *text == key) return &value;
  }
  return nullptr;
}

/// The dict of tensors: the root, or what a wrapper in it holds.
const Pickle::Dict& weights_of(const Pickle& pickle) {
  const auto* root = pickle.as<Pickle::Dict>(pickle.root);
  if (!root) fail(ErrorCode::model, "the file holds no dict, so that its weights have no names");
  for (const std::string_view wrapper : kWrappers) {
    const Pickle::Id* value = find(pickle, *root, wrapper);
    const auto* wrapped = value ? pickle.as<Pickle::Dict>(*value) : nullptr;
    if (wrapped) return *wrapped;
  }
  return *root;
}

bool is_contiguous(const Pickle::StridedTensor& tensor) {
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

/// Copies `count` elements in row-major order of the tensor's shape.
void gather(const Pickle::StridedTensor& tensor, int64_t count, const std::byte* src,
            std::byte* dst) {
  const size_t size = size_bytes(tensor.storage.dtype);
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

/// Makes tensors from the archive's storages; each storage is read once.
class TensorReader {
 public:
  /// `budget_bytes` is what storages and tensors may take together.
  TensorReader(const ZipArchive& archive, std::string folder, uint64_t budget_bytes)
      : archive_(archive), folder_(std::move(folder)), budget_bytes_(budget_bytes) {}

  Tensor read(const Pickle::StridedTensor& tensor) {
    const std::byte* elements = storage(tensor.storage).data();
    const int64_t count = element_count(tensor.shape).value_or(0);
    const size_t element_bytes = size_bytes(tensor.storage.dtype);
    Buffer buffer = allocate(uint64_t(count) * element_bytes);
    if (count > 0 && is_contiguous(tensor)) {
      std::memcpy(buffer.data(), elements + size_t(tensor.offset) * element_bytes,
                  buffer.size_bytes());
    } else {
      gather(tensor, count, elements, buffer.data());
    }
    return Tensor(tensor.storage.dtype, tensor.shape, std::move(buffer));
  }

 private:
  const Buffer& storage(const Pickle::Storage& storage) {
    const std::string name = fmt::format("{}data/{}", folder_, storage.key);
    const auto size = archive_.size_of(name);
    if (!size) fail(ErrorCode::model, "the zip archive has no entry {}, a storage", name);
    uint64_t expected = 0;
    if (__builtin_mul_overflow(storage.count, size_bytes(storage.dtype), &expected) ||
        *size != expected) {
      fail(ErrorCode::model, "the zip archive's entry {} has {} bytes, its storage {} x {}", name,
           *size, storage.count, upres::name(storage.dtype));
    }
    const auto found = storages_.find(storage.key);
    if (found != storages_.end()) return found->second;
    spend(*size);
    return storages_.emplace(storage.key, archive_.read(name)).first->second;
  }

  Buffer allocate(uint64_t size_bytes) {
    spend(size_bytes);
    return Buffer(size_bytes);
  }

  void spend(uint64_t size_bytes) {
    if (size_bytes > budget_bytes_) {
      fail(ErrorCode::model,
           "its tensors would take more than {} times the file's size in memory, as no real "
           "weights do",
           kMaxExpansion);
    }
    budget_bytes_ -= size_bytes;
  }

  const ZipArchive& archive_;
  std::string folder_;
  uint64_t budget_bytes_;
  std::unordered_map<std::string_view, Buffer> storages_;
};

}  // namespace

StateDict read_pth(std::span<const std::byte> file) {
  const ZipArchive archive(file);
  const std::string folder = folder_of(archive);
  refuse_torchscript(archive, folder);
  check_byte_order(archive, folder);
  const Buffer text = read_small(archive, folder + std::string(kPickle), kMaxPickleBytes);
  const Pickle pickle = unpickle({text.data(), text.size_bytes()});

  TensorReader reader(archive, folder, file.size() * kMaxExpansion + kSmallFile);
  StateDict weights;
  for (const auto& [key, value] : weights_of(pickle).entries) {
    const auto* name = pickle.as<std::string_view>(key);
    const auto* tensor = pickle.as<Pickle::StridedTensor>(value);
    if (name && tensor) weights.add(std::string(*name), reader.read(*tensor));
  }
  if (weights.empty()) {
    fail(ErrorCode::model, "the file holds no weights: no tensors in its dict, nor under {}",
         fmt::join(kWrappers, ", "));
  }
  return weights;
}

}  // namespace upres
