// SPDX-License-Identifier: Apache-2.0
//
// Operators become ours one by one. ONNX writes sizes down, ours have none: where exporters compute
// them, from the input's, they are computed for two different inputs, and what is made of them (a
// factor, a pixel shuffle) must be the same for both.
#include "model/onnx.h"

#include "base/error.h"
#include "graph/structure.h"
#include "model/onnx_importer.h"
#include "onnx/constant.h"

namespace upres {
namespace {

constexpr int64_t kOldestOpset = 9;
constexpr int64_t kNewestOpset = 23;

// Multiples of all factors that are met.
constexpr Size kOneSize{192, 288};
constexpr Size kOtherSize{480, 96};

/// The size that a file wants, where it wants one.
Size size_wanted(const onnx::ValueInfoProto& input, Size otherwise) {
  const auto& shape = input.type().tensor_type().shape();
  constexpr int64_t kMost = 1 << 14;
  const auto side = [&](int dimension, int open) {
    if (shape.dim_size() != 4 || !shape.dim(dimension).has_dim_value()) return open;
    const int64_t value = shape.dim(dimension).dim_value();
    if (value < 0 || value > kMost) {
      fail(ErrorCode::model, "the network is for pictures with a side of {} pixels", value);
    }
    return value == 0 ? open : int(value);
  };
  return {side(3, otherwise.width), side(2, otherwise.height)};
}

}  // namespace

OnnxNetwork read_onnx(std::span<const std::byte> file, const std::filesystem::path& folder) {
  const onnx::ModelProto model = parse_onnx(file);
  const int64_t opset = opset_of(model);
  if (opset < kOldestOpset || opset > kNewestOpset) {
    fail(ErrorCode::model,
         "the file uses version {} of ONNX's operators, upres reads {} to {}; "
         "export it again",
         opset, kOldestOpset, kNewestOpset);
  }
  OnnxExternalData external(folder);
  const OnnxImporter importer(model.graph(), external);
  const Size size = size_wanted(importer.input(), kOneSize);
  OnnxNetwork network = importer.import(size);
  const Size other = size_wanted(importer.input(), kOtherSize);
  if (other != size) {
    const OnnxNetwork again = importer.import(other);
    if (structure_hashes(network.graph) != structure_hashes(again.graph)) {
      fail(ErrorCode::model,
           "the network computes something else for pictures of another size, "
           "which upres does not run");
    }
  }
  return network;
}

}  // namespace upres
