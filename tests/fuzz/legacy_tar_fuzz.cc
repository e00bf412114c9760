// SPDX-License-Identifier: Apache-2.0
// PyTorch's first format.
#include "model/legacy_tar.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  return upres::fuzz::run(data, size_bytes, [](std::span<const std::byte> bytes) {
    upres::fuzz::recognise_and_verify(upres::read_legacy_tar(bytes));
  });
}
