// SPDX-License-Identifier: Apache-2.0
// The pickle language, and the tensors that it describes, over storages of zeros.
#include "fuzz.h"
#include "model/pickle.h"
#include "model/torch_weights.h"

namespace upres {
namespace {

// As much as the largest storage of a small network's; larger ones are missing from this "file".
constexpr size_t kStorageBytes = 64 << 10;

std::span<const std::byte> zeros(const Pickle::Storage& storage) {
  static const std::vector<std::byte> bytes(kStorageBytes);
  const size_t element_bytes = size_bytes(storage.dtype);
  if (storage.count < 0 || uint64_t(storage.count) > kStorageBytes / element_bytes) {
    fail(ErrorCode::model, "no storage {}", storage.key);
  }
  // The end of the block, so that a read behind the storage is one behind the block.
  return std::span(bytes).last(size_t(storage.count) * element_bytes);
}

}  // namespace
}  // namespace upres

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  return upres::fuzz::run(data, size_bytes, [](std::span<const std::byte> bytes) {
    const upres::Pickle pickle = upres::unpickle(bytes);
    upres::MemoryBudget budget(bytes.size());
    upres::weights_in(pickle, upres::ByteOrder::big, budget, upres::zeros, upres::accept_any);
  });
}
