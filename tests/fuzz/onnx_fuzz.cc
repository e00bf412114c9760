// SPDX-License-Identifier: Apache-2.0
#include "model/onnx.h"

#include "fuzz.h"
#include "onnx/write.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  return upres::fuzz::run(data, size_bytes, [](std::span<const std::byte> bytes) {
    // Weights beside the model are looked for in a folder that has none.
    const upres::OnnxNetwork network = upres::read_onnx(bytes, "/nonexistent");
    upres::verify(network.graph);
    upres::find_architecture(network.weights, network.graph);
    upres::write_onnx(network.graph, {.size = {}, .batch = 1});
  });
}
