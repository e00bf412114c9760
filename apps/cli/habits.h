// SPDX-License-Identifier: Apache-2.0
// The options for networks that want their pictures otherwise than most.
#pragma once

#include <CLI/CLI.hpp>

#include "model/habits.h"

namespace upres {

/// Adds --input-range and --channel-order. `habits` must live until the command line is parsed.
void add_habit_options(CLI::App& command, Habits& habits);

}  // namespace upres
