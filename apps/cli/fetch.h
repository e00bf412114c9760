// SPDX-License-Identifier: Apache-2.0
// upres models fetch: downloads a model.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <stop_token>

namespace upres {

struct FetchCommand {
  CLI::App* parser;
  std::function<int(const std::stop_token&)> run;  ///< as Command::run
};

/// Adds fetch NAME|URL to the command `models`.
FetchCommand add_fetch_command(CLI::App& models);

}  // namespace upres
