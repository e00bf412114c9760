// SPDX-License-Identifier: Apache-2.0
// upres video: the options.
#include <charconv>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "parse.h"
#include "video_run.h"

namespace upres {
namespace {

/// "12.5", "1:30" or "1:02:03.5": seconds.
double parse_time(const char* option, const std::string& text) {
  double seconds = 0;
  int parts = 0;
  size_t at = 0;
  for (;; ++parts) {
    const size_t colon = text.find(':', at);
    const std::string part = text.substr(at, colon == std::string::npos ? colon : colon - at);
    double value = 0;
    const char* end = part.data() + part.size();
    const auto [stop, error] = std::from_chars(part.data(), end, value, std::chars_format::fixed);
    const bool bad = error != std::errc() || stop != end || part.empty() || value < 0 ||
                     (parts > 0 && value >= 60) || parts > 2;
    if (bad) refuse(option, text, "is no time such as 90, 1:30 or 1:02:03.5");
    seconds = seconds * 60 + value;
    if (colon == std::string::npos) return seconds;
    at = colon + 1;
  }
}

/// "10", "10s", "2m".
double parse_length(const std::string& text) {
  std::string number = text;
  double unit = 1;
  if (number.ends_with('s') || number.ends_with('m')) {
    unit = number.back() == 'm' ? 60 : 1;
    number.pop_back();
  }
  double value = 0;
  const char* end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, value, std::chars_format::fixed);
  if (error != std::errc() || stop != end || number.empty() || !(value * unit >= 0.1)) {
    refuse("--segment", text, "is no length of at least 0.1 seconds, such as 10s or 2m");
  }
  return value * unit;
}

/// "25", "23.976", "30000/1001".
Fraction parse_rate(const std::string& text) {
  const size_t slash = text.find('/');
  const auto whole = [&](const std::string& part) { return whole_number(part); };
  if (slash != std::string::npos) {
    const auto num = whole(text.substr(0, slash));
    const auto den = whole(text.substr(slash + 1));
    if (num && den && *num > 0 && *den > 0 && *num <= 1000000 && *den <= 1000000) {
      return {int(*num), int(*den)};
    }
  }
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (slash != std::string::npos || error != std::errc() || stop != end || !(value > 0) ||
      value > 1000) {
    refuse("--fps", text, "is no rate such as 25, 23.976 or 30000/1001");
  }
  const double ntsc = value * 1001 / 1000;
  const bool is_ntsc = std::abs(ntsc - std::round(ntsc)) < 0.001 && value != std::round(value);
  return is_ntsc ? Fraction{int(std::lround(ntsc)) * 1000, 1001}
                 : Fraction{int(std::lround(value * 1000)), 1000};
}

std::vector<std::pair<std::string, std::string>> parse_pairs(
    const char* option, const std::vector<std::string>& texts) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) refuse(option, text, "is not KEY=VALUE");
    pairs.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return pairs;
}

Deinterlace parse_deinterlace(const std::string& text) {
  if (text == "auto") return Deinterlace::automatic;
  if (text == "on") return Deinterlace::on;
  if (text == "off") return Deinterlace::off;
  refuse("--deinterlace", text, "is not auto, on or off");
}

bool parse_hwaccel(const std::string& text) {
  if (text == "auto") return true;
  if (text == "none") return false;
  refuse("--hwaccel", text, "is not auto or none");
}

void add_file_options(CLI::App& command, VideoOptions& options) {
  constexpr const char* kGroup = "Files";
  command
      .add_option(
          "IN,-i,--input", options.input,
          "A film, an animated picture, frames/%06d.png, or - for stdin; -i may be left out")
      ->required()
      ->option_text("IN")
      ->group(kGroup);
  command
      .add_option("-o,--output", options.output,
                  "A film, frames/%06d.png, or - for stdout (default: IN_upres.EXT beside IN)")
      ->option_text("OUT")
      ->group(kGroup);
  command.add_option("--suffix", options.suffix, "Put behind names that upres makes (_upres)")
      ->option_text("TEXT")
      ->group(kGroup);
  auto* overwrite = command.add_flag("--overwrite", options.overwrite,
                                     "Replace an output that exists, or an interrupted run");
  auto* skip = command.add_flag("--skip", options.skip, "Do nothing where the output exists");
  auto* resume =
      command.add_flag("--resume", options.resume, "Go on where an interrupted run ended");
  overwrite->group(kGroup)->excludes(skip)->excludes(resume);
  skip->group(kGroup);
  resume->group(kGroup);
  command
      .add_flag("--lenient", options.lenient,
                "Exit code 0 where what can be read of a damaged film is done")
      ->group(kGroup);
  add<std::string>(
      command, "--segment", "TIME", kGroup, "What an interruption costs at most (10s)",
      [](const std::string& text) { return parse_length(text); }, options.segment_s);
  command
      .add_option("--input-format", options.read.format, "Of IN where it does not tell: rawvideo")
      ->option_text("NAME")
      ->group(kGroup);
  add<std::vector<std::string>>(
      command, "--input-option", "KEY=VALUE", kGroup,
      "Of that format: video_size=640x360, pixel_format=yuv420p, ...",
      [](const std::vector<std::string>& texts) { return parse_pairs("--input-option", texts); },
      options.read.demuxer_options)
      ->allow_extra_args(false);
  command
      .add_option("--max-pixels", options.read.max_pixels,
                  "Refuse frames that claim more (default: 2^30)")
      ->option_text("N")
      ->check(CLI::PositiveNumber)
      ->group(kGroup);
}

void add_film_options(CLI::App& command, VideoOptions& options) {
  constexpr const char* kGroup = "Film";
  const auto time = [](const char* option) {
    return [option](const std::string& text) { return parse_time(option, text); };
  };
  add<std::string>(command, "--start", "TIME", kGroup, "Leave out what is before: 90, 1:30",
                   time("--start"), options.part.start_s);
  add<std::string>(command, "--end", "TIME", kGroup, "Leave out what is from there on",
                   time("--end"), options.part.end_s);
  add<std::string>(command, "--preview", "TIME", kGroup,
                   "Only one frame, before and after, as a picture", time("--preview"),
                   options.preview_s);
  command
      .add_option("--loop", options.plays,
                  "How often an animated picture is shown, 0: for ever (default: as often as IN)")
      ->option_text("N")
      ->check(CLI::Range(0, 65535))
      ->group(kGroup);
  add<std::string>(command, "--fps", "RATE", kGroup,
                   "Frames a second (default: each frame at its own time)", parse_rate,
                   options.rate);
  add<std::string>(command, "--deinterlace", "auto|on|off", kGroup,
                   "auto: the frames that say that they are interlaced", parse_deinterlace,
                   options.deinterlace);
  command
      .add_flag("--every-frame", options.every_frame,
                "Run frames that are like the one before, too")
      ->group(kGroup);
  command.add_option("--map", options.read.map, "Streams to keep: v:1, a, s:0 (default: all)")
      ->option_text("STREAM")
      ->allow_extra_args(false)
      ->group(kGroup);
  command
      .add_flag_callback(
          "--no-audio", [&options] { options.read.audio = false; }, "Leave out the sound")
      ->group(kGroup);
  command
      .add_flag_callback(
          "--no-subs", [&options] { options.read.subtitles = false; }, "Leave out the subtitles")
      ->group(kGroup);
}

void add_encoder_options(CLI::App& command, VideoOptions& options) {
  constexpr const char* kGroup = "Encoder";
  command.add_option("-c,--codec", options.encode.codec, "Encoder (default: by OUT's container)")
      ->option_text("NAME")
      ->group(kGroup);
  command.add_option("--crf", options.encode.crf, "Constant quality, in the encoder's own scale")
      ->option_text("N")
      ->group(kGroup);
  command.add_option("--preset", options.encode.preset, "Fast or small, as the encoder calls it")
      ->option_text("NAME")
      ->group(kGroup);
  command
      .add_option("--pix-fmt", options.encode.pixel_format,
                  "Pixels of OUT (default: those that lose least of IN's)")
      ->option_text("NAME")
      ->group(kGroup);
  add<std::vector<std::string>>(
      command, "-e,--encoder-option", "KEY=VALUE", kGroup, "Of the encoder, as libav calls it",
      [](const std::vector<std::string>& texts) { return parse_pairs("-e", texts); },
      options.encode.options)
      ->allow_extra_args(false);
  command.add_option("-f,--format", options.format, "mp4, mkv, y4m, ... (default: by OUT's name)")
      ->option_text("EXT")
      ->group(kGroup);
  add<std::string>(command, "--hwaccel", "auto|none", kGroup,
                   "auto: a GPU that runs the network decodes, too, where it can", parse_hwaccel,
                   options.hwaccel);
}

}  // namespace

Command add_video_command(CLI::App& program) {
  CLI::App* parser = program.add_subcommand("video", "Upscale a film");
  const auto options = std::make_shared<VideoOptions>();
  add_file_options(*parser, *options);
  add_size_options(*parser, options->upscale);
  add_film_options(*parser, *options);
  add_encoder_options(*parser, *options);
  add_network_options(*parser, *options);
  add_message_options(*parser, *options);
  return {.parser = parser,
          .run = [options](const std::stop_token& stop) { return run_video(*options, stop); },
          .runs_networks = true};
}

}  // namespace upres
