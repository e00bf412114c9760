// SPDX-License-Identifier: Apache-2.0
// Where models are found by name.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>

namespace upres {

/// The folder that came with the program: beside an installed one, or in the source tree.
std::filesystem::path default_models_folder();

/// Adds -m. `folder` must live until the command line is parsed.
void add_models_option(CLI::App& command, std::filesystem::path& folder);

}  // namespace upres
