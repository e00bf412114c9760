// SPDX-License-Identifier: Apache-2.0
// The commands and options as data, for what is made from them: the manual page and completions.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace upres {

struct OptionFacts {
  std::vector<std::string> names;  ///< "-s", "--scale"; none for an argument
  std::string value;               ///< "X"; empty for a flag
  std::string description;
  std::string group;
  std::vector<std::string> words;  ///< values that can be told beforehand: of "8|16|float" all
};

struct CommandFacts {
  std::string name;  ///< "models fetch"; empty for the program itself
  std::string description;
  std::vector<OptionFacts> arguments;
  std::vector<OptionFacts> options;
};

/// The program and all its commands, in the order of its help.
std::vector<CommandFacts> options_table(const CLI::App& program);

}  // namespace upres
