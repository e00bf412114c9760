// SPDX-License-Identifier: Apache-2.0
// The model file formats that can be read: one line each in format.cc.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/error.h"
#include "graph/graph.h"
#include "model/state_dict.h"

namespace upres {

/// What a model file says.
struct ModelFile {
  std::string format;          ///< "PyTorch", "safetensors", "ncnn", "ONNX"
  StateDict weights;           ///< names without wrappers: no "params_ema", no "module."
  std::optional<Graph> graph;  ///< what a format that describes the network says of it (ncnn): the
                               ///< weights are then in the order of its layers, under their names,
                               ///< and its operators have none, unless
  bool graph_runs = false;     ///< the graph has all it takes to be run as it is (ONNX)
  std::string sha256;          ///< of the file that holds the weights
};

/// Reads a model file; the format is told by its content. Of ncnn's two files either may be named:
/// the other lies beside it (the .bin has no mark, and is told by its extension and its .param).
/// Nothing in the file is executed, and every size in it is checked against the file before
/// memory is allocated. Error{model} where the file is missing, damaged, hostile or of another
/// kind. `check` sees the tensors' outlines under the names that the file will have, before their
/// elements are read; not those of ncnn's files, whose graph is what tells them apart.
ModelFile read_model_file(const std::filesystem::path& path,
                          const CheckOutline& check = accept_any);

/// `error` with the file it is about: "PATH: what". Names and values that come from the file lose
/// control characters, and a long sentence its end, so that it can be shown on a terminal.
Error about_file(const std::filesystem::path& path, const Error& error);

}  // namespace upres
