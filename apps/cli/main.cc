// SPDX-License-Identifier: Apache-2.0
// The program: parses the command line, runs a command, turns what it throws into one line and an
// exit code.
#include <fcntl.h>

#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/system.h"
#include "command.h"
#include "failure.h"
#include "interrupt.h"

namespace upres {
namespace {

/// Opens what the caller closed of stdin, stdout and stderr: a picture that got the number of one
/// of them would take what is printed.
void open_standard_streams() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (fcntl(descriptor, F_GETFD) < 0) open("/dev/null", O_RDWR);  // takes the lowest free number
  }
}

/// CLI11's help without what an option excludes, needs and takes by type, and without blank lines
/// that come in pairs.
class ShortHelp : public CLI::Formatter {
 public:
  ShortHelp() { column_width(28); }
  std::string make_positionals(const CLI::App*) const override { return ""; }  // see the usage
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    return CLI::detail::find_and_replace(Formatter::make_help(app, name, mode), "\n\n\n", "\n\n");
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string& text = option->get_option_text();
    return text.empty() ? "" : " " + text;
  }
};

[[noreturn]] void fail_usage(const CLI::App& program, const CLI::ParseError& error) {
  std::string what = error.what();
  if (what.starts_with("A ") || what.starts_with("The ")) what[0] = char(std::tolower(what[0]));
  std::string command;
  for (const CLI::App* app = &program; !app->get_subcommands().empty();) {
    app = app->get_subcommands().front();
    command += " " + app->get_name();
  }
  fail(ErrorCode::usage, "{}; see upres{} --help", what, command);
}

int run(int argc, char** argv, const std::stop_token& stop) {
  CLI::App program("Upscales pictures and films with Real-ESRGAN-class networks.", "upres");
  program.set_version_flag("--version", "upres " UPRES_VERSION, "Print the version");
  program.set_help_flag("-h,--help", "Print this help");
  program.require_subcommand(1);
  program.formatter(std::make_shared<ShortHelp>());
  const Command commands[] = {
      add_image_command(program),   add_video_command(program),      add_info_command(program),
      add_convert_command(program), add_export_command(program),     add_models_command(program),
      add_verify_command(program),  add_engine_command(program),     add_doctor_command(program),
      add_man_command(program),     add_completions_command(program)};
  program.footer("upres image --help and upres video --help tell more.");
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    return program.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    fail_usage(program, error);
  }
  for (const Command& command : commands) {
    if (!command.parser->parsed()) continue;
    if (command.runs_networks) start_with_patient_threads(argv);
    return command.run(stop);
  }
  UPRES_ASSERT(false, "the parser requires a command");
}

}  // namespace
}  // namespace upres

int main(int argc, char** argv) {
  upres::open_standard_streams();
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the user's limit is a failed write, not the end
  const std::stop_token stop = upres::stop_on_interrupt();
  try {
    return upres::run(argc, argv, stop);
  } catch (...) {
    const upres::Failure failure = upres::failure_of(std::current_exception());
    upres::print(failure);
    return failure.exit_code;
  }
}
