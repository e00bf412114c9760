// SPDX-License-Identifier: Apache-2.0
// The zip archives of PyTorch. Their checksums hide most damage within entries: what the pickle in
// one may say is pickle_fuzz's matter.
#include "model/pth.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  return upres::fuzz::run(data, size_bytes, [](std::span<const std::byte> bytes) {
    upres::fuzz::recognise_and_verify(upres::read_pth(bytes));
  });
}
