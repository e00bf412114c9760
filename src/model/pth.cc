// SPDX-License-Identifier: Apache-2.0
//
// The archive, under one folder of any name:
//
//   archive/data.pkl     the state dict, its tensors as references to storages: see pickle.h
//   archive/data/KEY     a storage's elements
//   archive/byteorder    "little" or "big" (PyTorch 2.1 and later; before, files were little-endian
//                        but for those of big-endian machines, which did not say so)
#include "model/pth.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "model/pickle.h"
#include "model/torch_weights.h"
#include "model/zip_archive.h"

namespace upres {
namespace {

constexpr std::string_view kPickle = "data.pkl";

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

ByteOrder byte_order(const ZipArchive& archive, const std::string& folder) {
  if (!archive.size_of(folder + "byteorder")) return ByteOrder::little;
  const Buffer text = read_small(archive, folder + "byteorder", 16);
  const std::string_view order(reinterpret_cast<const char*>(text.data()), text.size_bytes());
  if (order == "little") return ByteOrder::little;
  if (order == "big") return ByteOrder::big;
  fail(ErrorCode::model, "its numbers are stored in byte order '{}', neither little nor big",
       order);
}

/// The archive's storages; each is read once.
class Storages {
 public:
  Storages(const ZipArchive& archive, std::string folder, MemoryBudget& budget)
      : archive_(archive), folder_(std::move(folder)), budget_(budget) {}

  std::span<const std::byte> find(const Pickle::Storage& storage) {
    const std::string name = fmt::format("{}data/{}", folder_, storage.key);
    const auto size = archive_.size_of(name);
    if (!size) fail(ErrorCode::model, "the zip archive has no entry {}, a storage", name);
    uint64_t expected = 0;
    if (__builtin_mul_overflow(storage.count, size_bytes(storage.dtype), &expected) ||
        *size != expected) {
      fail(ErrorCode::model, "the zip archive's entry {} has {} bytes, its storage {} x {}", name,
           *size, storage.count, upres::name(storage.dtype));
    }
    auto found = read_.find(storage.key);
    if (found == read_.end()) {
      budget_.spend(*size);
      found = read_.emplace(storage.key, archive_.read(name)).first;
    }
    return {found->second.data(), found->second.size_bytes()};
  }

 private:
  const ZipArchive& archive_;
  std::string folder_;
  MemoryBudget& budget_;
  std::unordered_map<std::string_view, Buffer> read_;
};

}  // namespace

StateDict read_pth(std::span<const std::byte> file, const CheckOutline& check) {
  const ZipArchive archive(file);
  const std::string folder = folder_of(archive);
  refuse_torchscript(archive, folder);
  const ByteOrder order = byte_order(archive, folder);
  const Buffer text = read_small(archive, folder + std::string(kPickle), kMaxPickleBytes);
  const Pickle pickle = unpickle({text.data(), text.size_bytes()});

  MemoryBudget budget(file.size());
  Storages storages(archive, folder, budget);
  return weights_in(
      pickle, order, budget, [&](const Pickle::Storage& storage) { return storages.find(storage); },
      check);
}

}  // namespace upres
