// SPDX-License-Identifier: Apache-2.0
// upres completions: scripts with which bash, zsh and fish complete command lines.
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "command.h"
#include "options_table.h"
#include "standard_output.h"

namespace upres {
namespace {

std::string joined(const std::vector<std::string>& words, const char* between = " ") {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::vector<std::string> all_names(const CommandFacts& command) {
  std::vector<std::string> names;
  for (const OptionFacts& option : command.options) {
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

/// "models fetch": "fetch" in "models".
struct Place {
  std::string parent, own;
};

Place place_of(const std::string& command) {
  const size_t last = command.rfind(' ');
  if (last == std::string::npos) return {"", command};
  return {command.substr(0, last), command.substr(last + 1)};
}

/// The words that may follow a command: the commands in it, and what its arguments can be.
std::vector<std::string> words_after(const std::vector<CommandFacts>& table,
                                     const std::string& command) {
  std::vector<std::string> words;
  for (const CommandFacts& other : table) {
    const auto [parent, own] = place_of(other.name);
    if (!other.name.empty() && parent == command) words.push_back(own);
    if (other.name != command) continue;
    for (const OptionFacts& argument : other.arguments) {
      words.insert(words.end(), argument.words.begin(), argument.words.end());
    }
  }
  return words;
}

/// Text inside single quotes of a shell.
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      result += c;
    }
  }
  return result + "'";
}

// bash ---------------------------------------------------------------------------------------

std::string for_bash(const std::vector<CommandFacts>& table) {
  std::string text =
      "# bash completion for upres\n"
      "_upres() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$command $word\" in\n";
  for (const CommandFacts& command : table) {
    if (command.name.empty()) continue;
    const std::string pattern =
        place_of(command.name).parent.empty() ? " " + command.name : command.name;
    text += "      " + quoted(pattern) + ") command=" + quoted(command.name) + " ;;\n";
  }
  text +=
      "    esac\n"
      "  done\n"
      "  case \"$command:$prev\" in\n";
  for (const CommandFacts& command : table) {
    for (const OptionFacts& option : command.options) {
      if (option.value.empty()) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names) {
        patterns.push_back(quoted(command.name + ":" + name));
      }
      text += "    " + joined(patterns, "|") + ")\n      ";
      text += option.words.empty()
                  ? "COMPREPLY=($(compgen -f -- \"$cur\"))"
                  : "COMPREPLY=($(compgen -W " + quoted(joined(option.words)) + " -- \"$cur\"))";
      text += "; return ;;\n";
    }
  }
  text += "  esac\n  case \"$command\" in\n";
  for (const CommandFacts& command : table) {
    std::vector<std::string> words = words_after(table, command.name);
    const std::vector<std::string> names = all_names(command);
    text += "    " + quoted(command.name) + ")\n";
    text += "      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W " + quoted(joined(names)) +
            " -- \"$cur\"))\n";
    text += words.empty() ? "      else COMPREPLY=($(compgen -f -- \"$cur\")); fi ;;\n"
                          : "      else COMPREPLY=($(compgen -W " + quoted(joined(words)) +
                                " -- \"$cur\")); fi ;;\n";
  }
  return text + "  esac\n}\ncomplete -o filenames -F _upres upres\n";
}

// fish ---------------------------------------------------------------------------------------

std::string for_fish(const std::vector<CommandFacts>& table) {
  std::string text = "# fish completion for upres\n";
  for (const CommandFacts& command : table) {
    const auto [parent, own] = place_of(command.name);
    if (!command.name.empty()) {
      const std::string when = parent.empty() ? "__fish_use_subcommand"
                                              : "__fish_seen_subcommand_from " + parent +
                                                    "; and not __fish_seen_subcommand_from " + own;
      text += "complete -c upres -n " + quoted(when) + (parent.empty() ? " -f" : "") + " -a " +
              quoted(own) + " -d " + quoted(command.description) + "\n";
    }
    const std::string here =
        command.name.empty() ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + own;
    for (const OptionFacts& option : command.options) {
      text += "complete -c upres -n " + quoted(here);
      for (const std::string& name : option.names) {
        text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (!option.value.empty()) text += " -r";
      if (!option.words.empty()) text += " -f -a " + quoted(joined(option.words));
      text += " -d " + quoted(option.description) + "\n";
    }
    for (const OptionFacts& argument : command.arguments) {
      if (argument.words.empty()) continue;
      text += "complete -c upres -n " + quoted(here) + " -f -a " + quoted(joined(argument.words)) +
              "\n";
    }
  }
  return text;
}

// zsh ----------------------------------------------------------------------------------------

/// What _arguments takes for punctuation is escaped.
std::string zsh_text(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string zsh_option(const OptionFacts& option) {
  std::string value;
  if (!option.value.empty()) {
    value = ":" + zsh_text(option.value) + ":";
    value += option.words.empty() ? "_files" : "(" + joined(option.words) + ")";
  }
  std::string text;
  for (const std::string& name : option.names) {
    text += " \\\n    " + quoted("*" + name + "[" + zsh_text(option.description) + "]" + value);
  }
  return text;
}

std::string zsh_function(const std::string& command) {
  std::string name = "_upres";
  for (const char c : command.empty() ? "" : " " + command) name += c == ' ' ? '_' : c;
  return name;
}

std::string for_zsh(const std::vector<CommandFacts>& table) {
  std::string text = "#compdef upres\n";
  for (const CommandFacts& command : table) {
    std::string options;
    for (const OptionFacts& option : command.options) options += zsh_option(option);
    std::string list;
    std::string dispatch;
    for (const CommandFacts& child : table) {
      const auto [parent, own] = place_of(child.name);
      if (child.name.empty() || parent != command.name) continue;
      list += " " + quoted(own + ":" + child.description);
      dispatch += "      " + own + ") " + zsh_function(child.name) + " ;;\n";
    }
    text += zsh_function(command.name) + "() {\n";
    if (list.empty()) {
      const std::vector<std::string> words = words_after(table, command.name);
      text += "  _arguments -s" + options + " \\\n    " +
              quoted("*:file:" + (words.empty() ? "_files" : "(" + joined(words) + ")")) + "\n}\n";
      continue;
    }
    text += "  local state line\n  typeset -A opt_args\n";
    text += "  local -a commands=(" + list.substr(1) + ")\n";
    text += "  _arguments -C" + options + " \\\n    '1: :->command' '*:: :->rest'\n";
    text +=
        "  case $state in\n    command) _describe command commands ;;\n    rest) case $words[1] "
        "in\n" +
        dispatch + "    esac ;;\n  esac\n}\n";
  }
  // As a file on zsh's path its last line is run; sourced, it registers itself.
  return text +
         "if [[ $funcstack[1] == _upres ]]; then _upres \"$@\"; else compdef _upres upres; fi\n";
}

}  // namespace

Command add_completions_command(CLI::App& program) {
  CLI::App* parser =
      program.add_subcommand("completions", "Print what a shell needs to complete command lines");
  const auto shell = std::make_shared<std::string>();
  parser->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->option_text("bash|zsh|fish")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  return {parser, [&program, shell](const std::stop_token&) {
            const auto table = options_table(program);
            write_to_stdout(*shell == "bash"  ? for_bash(table)
                            : *shell == "zsh" ? for_zsh(table)
                                              : for_fish(table));
            return 0;
          }};
}

}  // namespace upres
