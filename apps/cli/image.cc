// SPDX-License-Identifier: Apache-2.0
// upres image: the options.
#include <charconv>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "command.h"
#include "image_run.h"
#include "network_options.h"
#include "parse.h"

namespace upres {
namespace {

SampleType parse_depth(const std::string& text) {
  if (text == "8") return SampleType::u8;
  if (text == "16") return SampleType::u16;
  if (text == "float") return SampleType::f32;
  refuse("--depth", text, "is not 8, 16 or float");
}

/// "white", "black", "#rgb" or "#rrggbb", also without the #, which shells take for a comment.
std::array<uint8_t, 3> parse_colour(const std::string& text) {
  if (text == "white") return {255, 255, 255};
  if (text == "black") return {0, 0, 0};
  std::string digits = text.starts_with('#') ? text.substr(1) : text;
  if (digits.size() == 3) {
    digits = {digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]};
  }
  uint32_t colour = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, colour, 16);
  if (digits.size() != 6 || error != std::errc() || stop != end) {
    refuse("--flatten", text, "is not a colour such as white, black or ff8000");
  }
  return {uint8_t(colour >> 16), uint8_t(colour >> 8), uint8_t(colour)};
}

ImageFormat parse_format(const std::string& text) {
  const auto format = format_named(text);
  if (!format) refuse("--format", text, "is not a format that upres writes; see upres doctor");
  return *format;
}

void add_file_options(CLI::App& command, ImageOptions& options) {
  constexpr const char* kGroup = "Files";
  command
      .add_option("IN,-i,--input", options.files.inputs,
                  "Pictures, and folders of them; -i may be left out")
      ->required()
      ->option_text("IN...")
      ->group(kGroup);
  command
      .add_option("-o,--output", options.files.output,
                  "File, or a folder (default: IN_upres.EXT beside IN)")
      ->option_text("OUT")
      ->group(kGroup);
  command
      .add_flag("-r,--recursive", options.files.recursive,
                "Folders in folders, too, in their places")
      ->group(kGroup);
  command.add_option("--suffix", options.files.suffix, "Put behind names that upres makes")
      ->option_text("TEXT")
      ->group(kGroup);
  auto* overwrite =
      command.add_flag("--overwrite", options.overwrite, "Replace outputs that exist");
  auto* skip = command.add_flag("--skip", options.skip, "Leave out pictures whose output exists");
  overwrite->group(kGroup)->excludes(skip);
  skip->group(kGroup);
  command
      .add_option("--max-pixels", options.read.max_pixels,
                  "Refuse pictures that claim more (default: 2^30)")
      ->option_text("N")
      ->check(CLI::PositiveNumber)
      ->group(kGroup);
}

void add_result_options(CLI::App& command, ImageOptions& options) {
  constexpr const char* kGroup = "Result";
  add_size_options(command, options.upscale);
  add<std::string>(command, "-f,--format", "EXT", kGroup,
                   "png, jpg, webp, tif, ... (default: as OUT or IN)", parse_format,
                   options.files.format);
  command
      .add_option("-q,--quality", options.encode.quality, "Of lossy formats (default: by format)")
      ->option_text("1..100")
      ->check(CLI::Range(1, 100))
      ->group(kGroup);
  command.add_flag("--lossless", options.encode.lossless, "WebP, JXL, JP2 without loss")
      ->group(kGroup);
  command.add_option("--png-level", options.encode.png_level, "Of compression (default: 2)")
      ->option_text("0..9")
      ->check(CLI::Range(0, 9))
      ->group(kGroup);
  add<std::string>(command, "--depth", "8|16|float", kGroup, "Of samples (default: as IN)",
                   parse_depth, options.upscale.type);
  add<std::string>(command, "--flatten", "COLOUR", kGroup, "Lay alpha over white, black, ff8000",
                   parse_colour, options.read.flatten);
}

}  // namespace

Command add_image_command(CLI::App& program) {
  CLI::App* parser = program.add_subcommand("image", "Upscale pictures");
  const auto options = std::make_shared<ImageOptions>();
  add_file_options(*parser, *options);
  add_result_options(*parser, *options);
  add_network_options(*parser, *options);
  add_message_options(*parser, *options);
  return {.parser = parser,
          .run = [options](const std::stop_token& stop) { return run_image(*options, stop); },
          .runs_networks = true};
}

}  // namespace upres
