// SPDX-License-Identifier: Apache-2.0
// safetensors, and by its plain layout the architectures: any name and any shape is easily had.
#include "model/safetensors.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  return upres::fuzz::run(data, size_bytes, [](std::span<const std::byte> bytes) {
    upres::fuzz::recognise_and_verify(upres::read_safetensors(bytes));
  });
}
