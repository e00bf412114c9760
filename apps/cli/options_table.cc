// SPDX-License-Identifier: Apache-2.0
#include "options_table.h"

#include <cctype>
#include <sstream>

namespace upres {
namespace {

/// Of "auto|cpu|NAME" those in lower case and the numbers: what a user types as it stands.
std::vector<std::string> literal_words(const std::string& value) {
  std::vector<std::string> words;
  if (value.find('|') == std::string::npos) return words;
  std::istringstream stream(value);
  for (std::string word; std::getline(stream, word, '|');) {
    bool literal = !word.empty() && word.find('.') == std::string::npos;
    for (const char c : word) literal = literal && !std::isupper(static_cast<unsigned char>(c));
    if (literal) words.push_back(word);
  }
  return words;
}

OptionFacts facts_of(const CLI::Option& option) {
  OptionFacts facts;
  for (const std::string& name : option.get_snames()) facts.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) facts.names.push_back("--" + name);
  if (option.get_items_expected_max() > 0) {
    facts.value = option.get_option_text().empty() ? "VALUE" : option.get_option_text();
  }
  facts.description = option.get_description();
  facts.group = option.get_group();
  facts.words = literal_words(facts.value);
  return facts;
}

void add(const CLI::App& app, const std::string& name, std::vector<CommandFacts>& table) {
  CommandFacts command{
      .name = name, .description = app.get_description(), .arguments = {}, .options = {}};
  for (const CLI::Option* option : app.get_options()) {
    OptionFacts facts = facts_of(*option);
    if (option->get_positional()) {
      OptionFacts argument = facts;
      argument.names.clear();
      if (option->get_option_text().empty()) argument.value = option->get_name(true);
      command.arguments.push_back(argument);
    }
    if (!facts.names.empty()) command.options.push_back(facts);
  }
  table.push_back(command);
  for (const CLI::App* child : app.get_subcommands({})) {
    add(*child, name.empty() ? child->get_name() : name + " " + child->get_name(), table);
  }
}

}  // namespace

std::vector<CommandFacts> options_table(const CLI::App& program) {
  std::vector<CommandFacts> table;
  add(program, "", table);
  return table;
}

}  // namespace upres
