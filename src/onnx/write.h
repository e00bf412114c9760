// SPDX-License-Identifier: Apache-2.0
// Our networks as ONNX files, for other programs.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "graph/graph.h"
#include "tile/rect.h"

namespace upres {

/// How a file is written. Whatever the choice, the input is called "input" and the output "output":
/// batch, 3 channels (red, green, blue; 0 to 1), height, width.
struct OnnxOptions {
  bool half = false;         ///< weights, input and output in float16; else in float32
  std::optional<Size> size;  ///< the only size of picture that is taken; nothing: any
  std::optional<int> batch;  ///< pictures at once; nothing: any number
  int opset = 17;            ///< version of ONNX's operators, kOldestOnnxOpset to kNewestOnnxOpset
  std::map<std::string, std::string> metadata = {};  ///< "scale", "licence", …
};

constexpr int kOldestOnnxOpset = 9;
constexpr int kNewestOnnxOpset = 23;

/// The bytes of a file. The graph is one that no pass has changed. Error{usage} where the version
/// of the operators has none for it, Error{model} where the weights are no finite numbers in
/// float16, or more than a file can hold (2 GiB).
std::string write_onnx(const Graph& graph, const OnnxOptions& options);

}  // namespace upres
