// SPDX-License-Identifier: Apache-2.0
// ncnn's two files in one input: the .param, a zero byte, the .bin.
#include "model/ncnn.h"

#include <algorithm>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  return upres::fuzz::run(data, size_bytes, [](std::span<const std::byte> bytes) {
    const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
    const auto param = bytes.first(size_t(end - bytes.begin()));
    const auto bin = bytes.subspan(param.size() + (end == bytes.end() ? 0 : 1));
    const upres::NcnnNetwork network = upres::read_ncnn(param, bin);
    upres::fuzz::recognise_and_verify(network.weights, network.graph);
  });
}
