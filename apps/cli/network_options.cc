// SPDX-License-Identifier: Apache-2.0
#include "network_options.h"

#include <cmath>

#include "model_folders.h"
#include "parse.h"

namespace upres {
namespace {

OutputSize parse_scale(double scale) {
  if (std::isfinite(scale) && scale > 0) return {.rule = OutputSize::Rule::scale, .scale = scale};
  refuse("--scale", fmt::format("{}", scale), "is not a positive factor");
}

std::optional<int> parse_tile(const std::string& text) {
  if (text == "auto") return std::nullopt;
  const auto pixels = whole_number(text);
  if (pixels && *pixels >= 0 && *pixels <= kMaxSide) return int(*pixels);
  refuse("--tile", text, "is neither auto nor a number of pixels");
}

}  // namespace

void add_size_options(CLI::App& command, UpscaleOptions& options) {
  constexpr const char* kGroup = "Result";
  OutputSize& size = options.size;
  CLI::Option* const sizes[] = {
      add<double>(command, "-s,--scale", "X", kGroup,
                  "Times the size of IN (default: the model's own)", parse_scale, size),
      add<std::string>(
          command, "--width", "N", kGroup, "Pixels; the height in proportion",
          [](const std::string& text) {
            const auto width = parse_side(text);
            if (!width) refuse("--width", text, "is not a number of pixels");
            return OutputSize{.rule = OutputSize::Rule::width, .size = {*width, 0}};
          },
          size),
      add<std::string>(
          command, "--height", "N", kGroup, "Pixels; the width in proportion",
          [](const std::string& text) {
            const auto height = parse_side(text);
            if (!height) refuse("--height", text, "is not a number of pixels");
            return OutputSize{.rule = OutputSize::Rule::height, .size = {0, *height}};
          },
          size),
      add<std::string>(
          command, "--size", "WxH", kGroup, "Pixels, whatever the proportions",
          [](const std::string& text) {
            return OutputSize{.rule = OutputSize::Rule::exact, .size = parse_size("--size", text)};
          },
          size),
      add<std::string>(
          command, "--fit", "WxH", kGroup, "As large as fits, in proportion",
          [](const std::string& text) {
            return OutputSize{.rule = OutputSize::Rule::fit, .size = parse_size("--fit", text)};
          },
          size)};
  for (CLI::Option* one : sizes) {
    for (CLI::Option* other : sizes) {
      if (one != other) one->excludes(other);
    }
  }
  command
      .add_flag("--repeat", options.repeat,
                "Run the model on its own result where one run is too small")
      ->group(kGroup);
}

void add_network_options(CLI::App& command, NetworkOptions& options) {
  command.add_option("-n,--model", options.model, "Name or file of the model (upres-general-x4)")
      ->option_text("NAME|FILE")
      ->group("Model");
  add_models_option(command, options.models);
  add_blend_options(command, options.blend);
  add_habit_options(command, options.habits);
  command
      .add_flag("-x,--tta", options.upscale.eight_ways,
                "Average the results in eight orientations; takes eight times as long")
      ->group("Model");
  add<std::string>(command, "-t,--tile", "auto|N|0", "Tiles",
                   "Side of a tile in pixels of IN; 0: one piece", parse_tile, options.tiles.side);
  command
      .add_option("--overlap", options.tiles.overlap,
                  "Pixels of IN that tiles share (default: by the model)")
      ->option_text("N")
      ->check(CLI::NonNegativeNumber)
      ->group("Tiles");
  command
      .add_option("--max-memory", options.tiles.memory_limit,
                  "Of the machine's memory, as in 2G (default: what is free)")
      ->option_text("SIZE")
      ->transform(CLI::AsSizeValue(false))
      ->group("Tiles");
  add_device_options(command, options.device);
}

void add_message_options(CLI::App& command, NetworkOptions& options) {
  const auto set = [&options](Verbosity verbosity) {
    return [&options, verbosity] { options.verbosity = verbosity; };
  };
  auto* verbose = command.add_flag_callback("-v,--verbose", set(Verbosity::verbose),
                                            "Tell about model, device and times");
  auto* quiet = command.add_flag_callback("--quiet", set(Verbosity::quiet), "Tell errors only");
  verbose->group("Messages")->excludes(quiet);
  quiet->group("Messages");
  command.add_flag("--json", options.json, "Tell programs: one JSON object a line on stdout")
      ->group("Messages");
}

}  // namespace upres
