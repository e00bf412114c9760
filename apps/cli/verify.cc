// SPDX-License-Identifier: Apache-2.0
// upres verify: holds what the device at hand makes of a model to the plain loops of the reference.
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "command.h"
#include "compile/compile.h"
#include "device.h"
#include "graph/footprint.h"
#include "habits.h"
#include "media/image_reader.h"
#include "model/model.h"
#include "model_folders.h"
#include "parse.h"
#include "progress.h"
#include "standard_output.h"
#include "stopwatch.h"
#include "upscale/upscaler.h"
#include "upscale/verification.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

// The reference takes seconds for the one, and for the other of networks that cost more.
constexpr Size kSize = {128, 96};
constexpr Size kSizeOfCostly = {64, 48};
constexpr double kCostlyFlopsPerPixel = 10e6;

struct VerifyOptions {
  std::string model;
  std::optional<fs::path> picture;
  std::optional<Size> size;
  std::optional<fs::path> models;
  Habits habits;
  DeviceChoice device;
  bool json = false;
};

/// What one engine makes of the picture.
struct Made {
  Frame result;
  TileCount tiles;
  double seconds = 0;
};

/// In one piece, in floats.
Made make(const Device& device, const Engine& engine, const Graph& graph, const Frame& picture,
          const std::string& name, Console& console, const std::stop_token& stop) {
  Stopwatch watch;
  Upscaler upscaler(device, engine, graph, {.side = 0});
  const UpscaleOptions options{.size = {}, .type = SampleType::f32};
  Made made{.result = Frame(upscaler.result_info(picture.info(), options)), .tiles = {}};
  FrameSource source(picture);
  FrameSink sink(made.result);
  ProgressMeter meter(console, name, ProgressMeter::Unit::pixels);
  const UpscaleEvents events{
      .progress =
          [&](const Progress& p) {
            meter.update({p.pixels_done, p.pixels_total});
          },
      .notice = [&](const std::string& sentence) { console.notice(sentence); }};
  made.tiles = upscaler.run(source, false, sink, options, events, stop);
  made.seconds = watch.lap();
  return made;
}

/// What is found out.
struct Findings {
  std::string model, architecture, device;
  Precision precision;
  std::string picture;
  Size size;
  Agreement agreement;
  double seconds, reference_seconds;
  int64_t repaired;

  bool within() const { return agreement.psnr_db >= least_psnr_db(precision); }
};

std::string text_of(const Findings& found) {
  const double psnr = found.agreement.psnr_db;
  const std::pair<const char*, std::string> lines[] = {
      {"model", fmt::format("{}: {}", found.model, found.architecture)},
      {"device", fmt::format("{}, {}", found.device, name(found.precision))},
      {"picture",
       fmt::format("{}, {}x{} pixels", found.picture, found.size.width, found.size.height)},
      {"psnr", psnr > 0 && std::isinf(psnr) ? "the same samples as the reference's"
                                            : fmt::format("{:.1f} dB to the reference", psnr)},
      {"difference",
       fmt::format("at most {:.4f} levels of 8 bits", found.agreement.largest_levels)},
      {"time",
       fmt::format("{:.2f} s, the reference {:.2f} s", found.seconds, found.reference_seconds)},
      {"repaired", found.repaired > 0 ? fmt::format("{} tiles", found.repaired) : ""},
      {"verdict", fmt::format("{}: {} is held to {} dB", found.within() ? "good" : "not good",
                              name(found.precision), least_psnr_db(found.precision))},
  };
  std::string text;
  for (const auto& [key, value] : lines) {
    if (!value.empty()) text += fmt::format("{:<13} {}\n", key, value);
  }
  return text;
}

std::string json_of(const Findings& found) {
  using Json = nlohmann::ordered_json;
  const auto finite = [](double number) { return std::isfinite(number) ? Json(number) : Json(); };
  const Json json{{"model", found.model},
                  {"architecture", found.architecture},
                  {"device", found.device},
                  {"precision", name(found.precision)},
                  {"picture", found.picture},
                  {"width", found.size.width},
                  {"height", found.size.height},
                  {"psnr_db", finite(found.agreement.psnr_db)},
                  {"least_psnr_db", least_psnr_db(found.precision)},
                  {"largest_levels", finite(found.agreement.largest_levels)},
                  {"within", found.within()},
                  {"repaired_tiles", found.repaired},
                  {"seconds", found.seconds},
                  {"reference_seconds", found.reference_seconds}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

int run(const VerifyOptions& options, const std::stop_token& stop) {
  Console console(Verbosity::normal, options.json);
  BuildMeter builds(console);
  const auto device = open_device(options.device, builds.events(stop));
  const fs::path path = find_model(options.model, model_folders(options.models));
  const Model model = load_model(path);
  const Graph graph = translated(model.network.graph, options.habits);
  const bool costly = flops_per_pixel(graph) > kCostlyFlopsPerPixel;
  const Size size = options.size.value_or(costly ? kSizeOfCostly : kSize);
  const Frame picture =
      options.picture ? middle_of(read_image(*options.picture).frame, size) : test_card(size);

  const auto engine = compile(graph, *device, options.device.precision);
  const Made made = make(*device, *engine, graph, picture, "device", console, stop);
  // Its network is the one of the file: so the passes are verified, too.
  const auto plain_device = open_device("reference", {});
  const auto plain_engine = plain_device->load(graph);
  const Made expected =
      make(*plain_device, *plain_engine, graph, picture, "reference", console, stop);

  const Findings found{.model = options.model,
                       .architecture = model.network.architecture,
                       .device = device->name(),
                       .precision = device->chosen(options.device.precision),
                       .picture = options.picture ? options.picture->string() : "built in",
                       .size = picture.size(),
                       .agreement = agreement(made.result, expected.result),
                       .seconds = made.seconds,
                       .reference_seconds = expected.seconds,
                       .repaired = made.tiles.repaired};
  write_to_stdout(options.json ? json_of(found) : text_of(found));
  if (found.within()) return 0;
  fail(ErrorCode::device,
       "{} does not compute {} as it should: {:.1f} dB from the reference, where {} is held to {} "
       "dB; update its driver, or choose another --precision or -b",
       found.device, found.model, found.agreement.psnr_db, name(found.precision),
       least_psnr_db(found.precision));
}

}  // namespace

Command add_verify_command(CLI::App& program) {
  CLI::App* parser = program.add_subcommand(
      "verify", "Hold what the device makes of a model to plain loops on the processor");
  const auto options = std::make_shared<VerifyOptions>();
  parser->add_option("MODEL", options->model, "Name or file of the model")->required();
  parser->add_option("PICTURE", options->picture,
                     "What to try it on (default: a built-in picture)");
  parser
      ->add_option_function<std::string>(
          "--size",
          [options](const std::string& text) { options->size = parse_size("--size", text); },
          "The picture's middle, so large (default: 128x96, or 64x48 for large networks)")
      ->option_text("WxH");
  add_models_option(*parser, options->models);
  add_habit_options(*parser, options->habits);
  add_device_options(*parser, options->device);
  parser->add_flag("--json", options->json, "Print JSON");
  return {.parser = parser,
          .run = [options](const std::stop_token& stop) { return run(*options, stop); },
          .runs_networks = true};
}

}  // namespace upres
