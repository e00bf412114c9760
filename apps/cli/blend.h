// SPDX-License-Identifier: Apache-2.0
// The options that mix a second model into the first.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "model/model.h"

namespace upres {

/// A model and its share, 0 to 1, in a mix with another.
template <typename Name>
struct Share {
  Name model;
  double weight = 0;
};

struct BlendChoice {
  std::optional<Share<std::string>> blend;  ///< --blend: a model's name or file
  std::optional<double> denoise;            ///< --denoise: 0 to 1
};

/// Adds --blend and --denoise. `choice` must live until the command line is parsed.
void add_blend_options(CLI::App& command, BlendChoice& choice);

/// The file to be mixed into the one of `model`; nothing when that is to be run as it is. Names are
/// looked up in `folders`, the partner for --denoise first beside the model. Error{usage} when
/// --denoise does not fit the model, Error{model} when there is no such file.
std::optional<Share<std::filesystem::path>> other_model(const BlendChoice& choice,
                                                        const std::filesystem::path& model,
                                                        const ModelFolders& folders);

}  // namespace upres
