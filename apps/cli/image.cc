// SPDX-License-Identifier: Apache-2.0
// upres image: upscales pictures.
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/system.h"
#include "blend.h"
#include "command.h"
#include "compile/compile.h"
#include "device.h"
#include "failure.h"
#include "graph/footprint.h"
#include "model/model.h"
#include "model_folders.h"
#include "progress.h"
#include "task.h"
#include "upscale/upscaler.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

struct ImageOptions {
  std::vector<fs::path> inputs;
  std::optional<fs::path> output;
  bool overwrite = false;
  bool skip = false;
  std::string model = "upres-general-x4";
  std::optional<fs::path> models;
  BlendChoice blend;
  std::optional<double> scale;
  TileOptions tiles;
  DeviceChoice device;
  bool verbose = false;
  bool quiet = false;
};

// Options ------------------------------------------------------------------------------------

double parse_scale(double scale) {
  if (std::isfinite(scale) && scale > 0) return scale;
  throw CLI::ValidationError("--scale", fmt::format("{} is not a positive factor", scale));
}

std::optional<int> parse_tile(const std::string& text) {
  if (text == "auto") return std::nullopt;
  int side = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, side);
  if (error == std::errc() && stop == end && side >= 0) return side;
  throw CLI::ValidationError("--tile", text + " is neither auto nor a number of pixels");
}

void add_options(CLI::App& command, ImageOptions& options) {
  command.add_option("IN,-i,--input", options.inputs, "Pictures (PNG, JPEG); -i may be left out")
      ->required()
      ->option_text("IN...")
      ->group("Files");
  command
      .add_option("-o,--output", options.output,
                  "File, or a folder that exists (default: IN_upres.EXT beside IN)")
      ->option_text("OUT")
      ->group("Files");
  auto* overwrite =
      command.add_flag("--overwrite", options.overwrite, "Replace outputs that exist");
  auto* skip = command.add_flag("--skip", options.skip, "Leave out pictures whose output exists");
  overwrite->group("Files")->excludes(skip);
  skip->group("Files");

  command.add_option("-n,--model", options.model, "Name or file of the model (upres-general-x4)")
      ->option_text("NAME|FILE")
      ->group("Model");
  add_models_option(command, options.models);
  add_blend_options(command, options.blend);
  command
      .add_option_function<double>(
          "-s,--scale", [&](double scale) { options.scale = parse_scale(scale); },
          "Times the size of IN (default: the model's own); the result is resampled")
      ->option_text("X")
      ->group("Model");
  command
      .add_option_function<std::string>(
          "-t,--tile", [&](const std::string& side) { options.tiles.side = parse_tile(side); },
          "Side of a tile in pixels of IN; 0: one piece")
      ->option_text("auto|N|0")
      ->group("Tiles");
  command
      .add_option("--overlap", options.tiles.overlap,
                  "Pixels of IN that tiles share (default: by the model)")
      ->option_text("N")
      ->check(CLI::NonNegativeNumber)
      ->group("Tiles");
  add_device_options(command, options.device);

  auto* verbose =
      command.add_flag("-v,--verbose", options.verbose, "Tell about model, device and times");
  auto* quiet = command.add_flag("--quiet", options.quiet, "Tell errors only");
  verbose->group("Messages")->excludes(quiet);
  quiet->group("Messages");
}

// Work ---------------------------------------------------------------------------------------

class Stopwatch {
 public:
  /// Seconds since the last call, or since it was made.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void check_memory(size_t needed, const fs::path& picture) {
  const size_t available = available_memory();
  if (needed > available) {
    fail(ErrorCode::memory,
         "{} needs {} MiB of memory and {} MiB are free; close other programs, or use a smaller "
         "picture or -s",
         picture.string(), needed >> 20, available >> 20);
  }
}

std::string description(const TileGrid& grid) {
  const Size largest = grid.largest();
  return fmt::format("tiles   {} x {}, of up to {}x{} pixels", grid.columns(), grid.rows(),
                     largest.width, largest.height);
}

Model load(const fs::path& path, const std::optional<Share<fs::path>>& other) {
  return other ? load_blended_model(path, other->model, other->weight) : load_model(path);
}

/// A network on a device, ready to run.
struct Loaded {
  Loaded(const Device& device, const ImageOptions& options)
      : path(find_model(options.model, model_folders(options.models))),
        other(other_model(options.blend, path, model_folders(options.models))),
        model(load(path, other)),
        engine(compile(model.network.graph, device)),
        upscaler(device, *engine, model.network.graph, options.tiles) {}

  fs::path path;
  std::optional<Share<fs::path>> other;  ///< what is mixed in
  Model model;
  std::unique_ptr<Engine> engine;
  Upscaler upscaler;
};

/// A task that passed its checks.
struct Picture {
  Task task;
  ImageInfo info;
};

/// The command at work.
class ImageRun {
 public:
  ImageRun(const ImageOptions& options, std::stop_token stop)
      : options_(options),
        existing_(options.overwrite ? Existing::replace : Existing::refuse),
        console_(options.quiet     ? Verbosity::quiet
                 : options.verbose ? Verbosity::verbose
                                   : Verbosity::normal),
        stop_(std::move(stop)) {}

  int run() {
    const auto device = open_device(options_.device);
    const std::vector<Picture> pictures = checked();
    if (!pictures.empty()) make(pictures, *device);
    if (failures_ == 0) return 0;
    return options_.inputs.size() == 1 ? last_failure_ : 1;
  }

 private:
  /// The pictures that can be made, as far as one can know before the work.
  std::vector<Picture> checked() {
    std::vector<Picture> pictures;
    for (const Task& task : plan_tasks(options_.inputs, options_.output)) {
      if (options_.skip && output_exists(task)) {
        console_.result(
            fmt::format("{}  skipped: {} exists", task.input.string(), task.output.string()));
        continue;
      }
      attempt([&] { pictures.push_back({task, check(task, existing_)}); });
    }
    return pictures;
  }

  void make(const std::vector<Picture>& pictures, const Device& device) {
    Stopwatch watch;
    Loaded loaded(device, options_);
    const Footprint footprint = upres::footprint(loaded.model.network.graph);
    console_.detail(fmt::format("model   {}: {}, x{}, halo {}", options_.model,
                                loaded.model.network.architecture,
                                loaded.model.network.graph.scale(), footprint.halo));
    if (loaded.other) {
      console_.detail(
          fmt::format("mixed   {} of {}", loaded.other->weight, loaded.other->model.string()));
    }
    console_.detail(fmt::format("device  {}", device.name()));
    console_.detail(fmt::format("loaded  in {:.2f} s", watch.lap()));
    for (const Picture& picture : pictures) {
      attempt([&] { make(picture, loaded.upscaler); });
    }
  }

  void make(const Picture& picture, Upscaler& upscaler) {
    if (stop_.stop_requested()) throw Error(ErrorCode::interrupted, "interrupted");
    const auto& [task, info] = picture;
    const Size size = upscaler.output_size(info.size, options_.scale);
    check_holds(task.format, task.output, {size, info.type, info.channels});

    Stopwatch watch;
    check_memory(info.total_bytes(), task.input);
    const Image image = read_image(task.input);
    const double reading = watch.lap();
    check_memory(upscaler.bytes_needed(image.frame, options_.scale), task.input);
    const Frame result = upscale(task, image.frame, upscaler);
    const double upscaling = watch.lap();
    write_image(task.output, task.format, existing_, result, image.metadata);
    const double writing = watch.lap();

    console_.detail(fmt::format("times   read {:.2f} s, upscale {:.2f} s, write {:.2f} s", reading,
                                upscaling, writing));
    console_.result(fmt::format("{} -> {}  {}x{}  {:.1f} s", task.input.string(),
                                task.output.string(), size.width, size.height,
                                reading + upscaling + writing));
  }

  Frame upscale(const Task& task, const Frame& picture, Upscaler& upscaler) {
    ProgressMeter meter(console_, task.input.filename().string(), ProgressMeter::Unit::pixels);
    const UpscaleEvents events{
        .progress =
            [&](const Progress& now) {
              meter.update({now.pixels_done, now.pixels_total});
            },
        .planned = [&](const TileGrid& grid) { console_.detail(description(grid)); },
        .notice = [&](const std::string& sentence) { console_.notice(sentence); }};
    return upscaler.run(picture, options_.scale, events, stop_);
  }

  /// Does a part of the work whose failure does not end the rest, unless the user stops it.
  template <typename Work>
  void attempt(Work&& work) {
    try {
      work();
    } catch (...) {
      const Failure failure = failure_of(std::current_exception());
      if (failure.exit_code == int(ErrorCode::interrupted)) throw;
      print(failure);
      ++failures_;
      last_failure_ = failure.exit_code;
    }
  }

  const ImageOptions& options_;
  Existing existing_;
  Console console_;
  std::stop_token stop_;
  int failures_ = 0;
  int last_failure_ = 0;
};

}  // namespace

Command add_image_command(CLI::App& program) {
  CLI::App* parser = program.add_subcommand("image", "Upscale pictures");
  const auto options = std::make_shared<ImageOptions>();
  add_options(*parser, *options);
  return {.parser = parser,
          .run = [options](const std::stop_token& stop) { return ImageRun(*options, stop).run(); },
          .runs_networks = true};
}

}  // namespace upres
