// SPDX-License-Identifier: Apache-2.0
// upres man: the manual page, in the language of man(7), made from the options of all commands.
#include <string>
#include <utility>

#include "base/error.h"
#include "command.h"
#include "options_table.h"
#include "standard_output.h"

namespace upres {
namespace {

constexpr std::pair<int, const char*> kExitCodes[] = {
    {0, "all done"},
    {1, "some of several pictures failed"},
    {int(ErrorCode::usage), "usage"},
    {int(ErrorCode::input), "a picture cannot be read, or is refused"},
    {int(ErrorCode::model), "a model cannot be read, or its network is not one that is run"},
    {int(ErrorCode::output), "the output cannot be written, or cannot hold the result"},
    {int(ErrorCode::memory), "not enough memory"},
    {int(ErrorCode::device), "device or driver"},
    {int(ErrorCode::network), "a server cannot be reached, or does not give what it was asked for"},
    {int(ErrorCode::interrupted), "interrupted"}};

constexpr std::pair<const char*, const char*> kExamples[] = {
    {"upres image photo.jpg", "Makes photo_upres.jpg, four times as large."},
    {"upres image photo.png -o large.webp --fit 3840x2160",
     "As large as fits a 4K screen, in another format."},
    {"upres image -r scans -o large --json",
     "A folder with all below it, told to a program as JSON."},
    {"upres image anime.png -n realesr-animevideov3.pth -s 2",
     "A model file of your own, and half its own scale."},
    {"upres verify realesr-animevideov3.pth", "Whether the device computes it as it should."}};

/// Text in which nothing is taken for a command of man(7).
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else if (c == '\'' && result.empty()) {
      result += "\\(aq";
    } else if (c == '.' && result.empty()) {
      result += "\\&.";
    } else {
      result += c;
    }
  }
  return result;
}

std::string bold(const std::string& text) {
  return "\\fB" + escaped(text) + "\\fR";
}
std::string italic(const std::string& text) {
  return "\\fI" + escaped(text) + "\\fR";
}

/// A paragraph that hangs from its first line.
std::string hanging(const std::string& head, const std::string& text) {
  return ".TP\n" + head + "\n" + escaped(text) + "\n";
}

std::string option_text(const OptionFacts& option) {
  std::string head;
  for (const std::string& name : option.names) head += (head.empty() ? "" : ", ") + bold(name);
  if (!option.value.empty()) head += " " + italic(option.value);
  return hanging(head, option.description);
}

std::string synopsis(const CommandFacts& command) {
  std::string line = ".B upres" + (command.name.empty() ? "" : " " + command.name) + "\n";
  line += "[" + italic("OPTIONS") + "]";
  for (const OptionFacts& argument : command.arguments) line += " " + italic(argument.value);
  return line + "\n.br\n";
}

std::string command_text(const CommandFacts& command) {
  std::string text =
      ".SS upres " + escaped(command.name) + "\n" + escaped(command.description) + ".\n";
  std::string group;
  for (const OptionFacts& option : command.options) {
    if (option.group != group) text += ".PP\n" + italic(option.group) + "\n";
    group = option.group;
    text += option_text(option);
  }
  return text;
}

std::string page(const CLI::App& program) {
  const auto table = options_table(program);
  std::string text = ".TH UPRES 1 \"\" \"upres " UPRES_VERSION "\"\n";
  text += ".SH NAME\nupres \\- upscale pictures with Real\\-ESRGAN\\-class networks\n";
  text += ".SH SYNOPSIS\n";
  for (const CommandFacts& command : table) {
    if (!command.name.empty()) text += synopsis(command);
  }
  text += ".SH DESCRIPTION\n";
  text += escaped(
      "A model file goes in as it was published, is compiled in memory for the machine at hand, "
      "and "
      "runs at any picture size. A picture is finished or refused: no partial output is left "
      "behind. The same command gives the same bytes.");
  text += "\n.SH COMMANDS\n";
  for (const CommandFacts& command : table) {
    if (!command.name.empty()) text += command_text(command);
  }
  text += ".SH EXIT STATUS\n";
  for (const auto& [code, meaning] : kExitCodes) text += hanging(std::to_string(code), meaning);
  text += ".SH EXAMPLES\n";
  for (const auto& [line, meaning] : kExamples) text += hanging(bold(line), meaning);
  return text;
}

}  // namespace

Command add_man_command(CLI::App& program) {
  CLI::App* parser = program.add_subcommand("man", "Print the manual page");
  return {parser, [&program](const std::stop_token&) {
            write_to_stdout(page(program));
            return 0;
          }};
}

}  // namespace upres
