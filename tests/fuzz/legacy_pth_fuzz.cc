// SPDX-License-Identifier: Apache-2.0
// PyTorch's streams of before version 1.6.
#include "model/legacy_pth.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  return upres::fuzz::run(data, size_bytes, [](std::span<const std::byte> bytes) {
    upres::fuzz::recognise_and_verify(upres::read_legacy_pth(bytes));
  });
}
