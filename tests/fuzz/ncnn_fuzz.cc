// SPDX-License-Identifier: Apache-2.0
// ncnn's two files in one input: the length of the .param (text or binary) in four bytes, the
// .param, the .bin.
#include "model/ncnn.h"

#include <algorithm>

#include "fuzz.h"
#include "model/cursor.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  return upres::fuzz::run(data, size_bytes, [](std::span<const std::byte> bytes) {
    upres::Cursor in(bytes, "the input");
    const auto length = in.read<uint32_t>();
    const auto param = in.take(std::min<size_t>(length, in.remaining()));
    const auto bin = in.take(in.remaining());
    const upres::NcnnNetwork network = upres::read_ncnn(param, bin);
    upres::fuzz::recognise_and_verify(network.weights, network.graph);
  });
}
