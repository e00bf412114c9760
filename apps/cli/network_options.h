// SPDX-License-Identifier: Apache-2.0
// The options that upres image and upres video share: what runs, how, and what is told.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "blend.h"
#include "device.h"
#include "habits.h"
#include "progress.h"
#include "upscale/upscaler.h"

namespace upres {

struct NetworkOptions {
  UpscaleOptions upscale;
  TileOptions tiles;
  std::string model = "upres-general-x4";
  std::optional<std::filesystem::path> models;
  BlendChoice blend;
  Habits habits;
  DeviceChoice device;
  Verbosity verbosity = Verbosity::normal;
  bool json = false;
};

/// An option whose text goes through a function that refuses what makes no sense.
template <typename Value, typename Parse, typename Target>
CLI::Option* add(CLI::App& command, const char* names, const char* value_name, const char* group,
                 const char* description, Parse parse, Target& target) {
  return command
      .add_option_function<Value>(
          names, [parse, &target](const Value& value) { target = parse(value); }, description)
      ->option_text(value_name)
      ->group(group);
}

/// Adds -s, --width, --height, --size, --fit and --repeat. All that is added must live until the
/// command line is parsed.
void add_size_options(CLI::App& command, UpscaleOptions& options);

/// Adds -n, -m, --blend, --denoise, --input-range, --channel-order, -x, -t, --overlap, --max-memory
/// and those of the device.
void add_network_options(CLI::App& command, NetworkOptions& options);

/// Adds -v, --quiet and --json.
void add_message_options(CLI::App& command, NetworkOptions& options);

}  // namespace upres
