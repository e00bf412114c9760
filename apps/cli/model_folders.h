// SPDX-License-Identifier: Apache-2.0
// Where models are found by name.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

#include "model/model.h"

namespace upres {

/// The user's own: $XDG_DATA_HOME/upres/models, which is ~/.local/share/upres/models unless set.
/// Nothing when the environment does not say where that is. It need not exist.
std::optional<std::filesystem::path> user_models_folder();

/// `given` where -m was given; then the user's own; then the one that came with the program, beside
/// an installed one or in the source tree.
ModelFolders model_folders(const std::optional<std::filesystem::path>& given);

/// Adds -m. `folder` must live until the command line is parsed.
void add_models_option(CLI::App& command, std::optional<std::filesystem::path>& folder);

}  // namespace upres
