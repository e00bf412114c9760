// SPDX-License-Identifier: Apache-2.0
// The commands of the program; each has a file of its own.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <stop_token>

namespace upres {

/// A command that was added to the program's command line.
struct Command {
  CLI::App* parser;
  /// Does what was asked for, after parsing; returns the exit code. What ends all of its work is
  /// thrown. Looks at the token, and ends with Error{interrupted} after a stop request.
  std::function<int(const std::stop_token&)> run;
  bool runs_networks = false;
};

/// upres image IN… -o OUT: upscales pictures.
Command add_image_command(CLI::App& program);

/// upres video IN -o OUT: upscales a film.
Command add_video_command(CLI::App& program);

/// upres info MODEL: what a model file holds.
Command add_info_command(CLI::App& program);

/// upres convert MODEL -o OUT: writes a model file as safetensors.
Command add_convert_command(CLI::App& program);
Command add_export_command(CLI::App& program);

/// upres models: lists models; upres models fetch NAME|URL: downloads one.
Command add_models_command(CLI::App& program);

/// upres verify MODEL [PICTURE]: holds a device's results to the reference's.
Command add_verify_command(CLI::App& program);

/// upres engine: builds, lists and removes the engines of TensorRT.
Command add_engine_command(CLI::App& program);

/// upres doctor: what the machine and this build have, and what will be used.
Command add_doctor_command(CLI::App& program);

/// upres man: the manual page, made from the options of all commands.
Command add_man_command(CLI::App& program);

/// upres completions SHELL: what a shell needs to complete command lines, made from the same.
Command add_completions_command(CLI::App& program);

}  // namespace upres
