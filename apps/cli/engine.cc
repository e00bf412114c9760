// SPDX-License-Identifier: Apache-2.0
// upres engine: the engines that -b tensorrt builds and keeps.
#include <fmt/chrono.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "backend/tensorrt/tensorrt.h"
#include "base/error.h"
#include "command.h"
#include "failure.h"
#include "loaded.h"
#include "model_folders.h"
#include "network_options.h"
#include "standard_output.h"
#include "stopwatch.h"

namespace upres {
namespace {

namespace fs = std::filesystem;
using tensorrt::CachedEngine;
using tensorrt::EngineCache;

EngineCache cache() {
  return EngineCache(tensorrt::cache_folder());
}

constexpr const char* kNowhere =
    "No engines are kept: neither XDG_CACHE_HOME nor HOME names a folder.\n";

std::string count_of(size_t engines) {
  return fmt::format("{} {}", engines, engines == 1 ? "engine" : "engines");
}

// build --------------------------------------------------------------------------------------

struct BuildOptions : NetworkOptions {
  std::vector<std::string> names;
  std::vector<std::string> precisions{"fp16"};
  std::vector<int> gpus{0};
  bool overwrite = false;
};

void build(const LoadedModel& model, const std::string& name, Precision precision,
           const DeviceOptions& device, bool anew, Console& console) {
  Stopwatch watch;
  const auto prepared =
      tensorrt::prepare_engine(model.model.network.graph, precision, device, anew);
  if (!prepared.file) {
    fail(ErrorCode::output,
         "the engine was built and could not be kept; name a folder that can be written in "
         "XDG_CACHE_HOME");
  }
  const std::string file = prepared.file->string();
  console.result(
      prepared.was_built
          ? fmt::format("{} -> {}  {}  {:.1f} MB  {:.1f} s", name, file, upres::name(precision),
                        double(prepared.size_bytes) / 1e6, watch.lap())
          : fmt::format("{} -> {}  {}  is here already", name, file, upres::name(precision)));
}

int run_build(BuildOptions options, const std::stop_token& stop) {
  Console console(options.verbosity);
  BuildMeter meter(console);
  DeviceOptions device{.size_hint = options.device.size_hint, .events = meter.events(stop)};
  for (const std::string& name : options.names) {
    options.model = name;
    const LoadedModel model = load_wanted_model(options);
    for (const int gpu : options.gpus) {
      device.gpu = gpu;
      for (const std::string& precision : options.precisions) {
        if (stop.stop_requested()) fail(ErrorCode::interrupted, "interrupted");
        build(model, name, precision == "fp16" ? Precision::fp16 : Precision::fp32, device,
              options.overwrite, console);
      }
    }
  }
  return 0;
}

Command add_build_command(CLI::App& engine) {
  CLI::App* parser = engine.add_subcommand(
      "build", "Build the engines of models, so that the first run need not wait for them");
  const auto options = std::make_shared<BuildOptions>();
  parser->add_option("MODEL", options->names, "Names or files of models")
      ->option_text("MODEL...")
      ->required();
  add_models_option(*parser, options->models);
  add_blend_options(*parser, options->blend);
  add_habit_options(*parser, options->habits);
  parser
      ->add_option("--precision", options->precisions,
                   "What the networks compute in, or both (default: fp16)")
      ->option_text("fp16|fp32")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"fp16", "fp32"}))
      ->group("Device");
  parser->add_option("-g,--gpu", options->gpus, "GPUs by number, where they are of several kinds")
      ->option_text("N,N,...")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(0, 255))
      ->group("Device");
  add_size_hint_option(*parser, options->device)->group("Device");
  parser->add_flag("--overwrite", options->overwrite, "Build those anew that are there");
  parser->add_flag_callback(
      "--quiet", [options] { options->verbosity = Verbosity::quiet; }, "Tell errors only");
  return {parser, [options](const std::stop_token& stop) { return run_build(*options, stop); }};
}

// list ---------------------------------------------------------------------------------------

std::string library_of(const CachedEngine& engine) {
  return engine.key.library + " " + engine.key.version;
}

std::string table(const std::vector<CachedEngine>& engines) {
  const auto folder = tensorrt::cache_folder();
  if (!folder) return kNowhere;
  if (engines.empty()) {
    return fmt::format("There are no engines in {}.\nupres engine build MODEL makes one.\n",
                       folder->string());
  }
  const auto width_of = [&](auto text_of, size_t least) {
    for (const CachedEngine& engine : engines) least = std::max(least, text_of(engine).size());
    return least;
  };
  const size_t network = width_of([](const CachedEngine& e) { return e.network; }, 7);
  const size_t library = width_of(library_of, 2);
  std::string text = fmt::format("{:<{}}  precision  {:<16}  {:>7}  {:<{}}  for\n", "network",
                                 network, "built", "MB", "by", library);
  uint64_t bytes = 0;
  for (const CachedEngine& engine : engines) {
    bytes += engine.size_bytes;
    const std::string what =
        engine.fault.empty() ? fmt::format("{}, {}", engine.key.gpu, engine.key.profile)
                             : fmt::format("{} {}", engine.path.filename().string(), engine.fault);
    text += fmt::format("{:<{}}  {:<9}  {:%Y-%m-%d %H:%M}  {:>7.1f}  {:<{}}  {}\n",
                        one_line(engine.network), network, one_line(engine.key.precision),
                        *std::localtime(&engine.built), double(engine.size_bytes) / 1e6,
                        one_line(library_of(engine)), library, one_line(what));
  }
  return text + fmt::format("\n{} in {}, {:.1f} MB; upres engine clean removes all.\n",
                            count_of(engines.size()), folder->string(), double(bytes) / 1e6);
}

nlohmann::ordered_json json_of(const CachedEngine& engine) {
  const auto text = [](const std::string& value) {
    return value.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(value);
  };
  const tensorrt::EngineKey& key = engine.key;
  return {{"network", text(engine.network)},
          {"graph_sha256", text(key.graph)},
          {"precision", text(key.precision)},
          {"profile", text(key.profile)},
          {"gpu", text(key.gpu)},
          {"driver", text(key.driver)},
          {"library", text(key.library)},
          {"version", text(key.version)},
          {"built", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", *std::gmtime(&engine.built))},
          {"size_bytes", engine.size_bytes},
          {"path", engine.path.string()},
          {"fault", text(engine.fault)}};
}

std::string json_text(const std::vector<CachedEngine>& engines) {
  auto list = nlohmann::ordered_json::array();
  for (const CachedEngine& engine : engines) list.push_back(json_of(engine));
  // A path may be no UTF-8.
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Command add_list_command(CLI::App& engine) {
  CLI::App* parser = engine.add_subcommand("list", "List the engines that are kept");
  const auto json = std::make_shared<bool>(false);
  parser->add_flag("--json", *json, "Print JSON");
  return {parser, [json](const std::stop_token&) {
            const auto engines = cache().list();
            write_to_stdout(*json ? json_text(engines) : table(engines));
            return 0;
          }};
}

// clean --------------------------------------------------------------------------------------

int run_clean() {
  const auto folder = tensorrt::cache_folder();
  if (!folder) {
    write_to_stdout(kNowhere);
    return 0;
  }
  const EngineCache::Cleaned cleaned = cache().clean();
  std::string text = fmt::format("{} removed from {}, {:.1f} MB", count_of(size_t(cleaned.engines)),
                                 folder->string(), double(cleaned.bytes) / 1e6);
  if (cleaned.busy > 0) {
    text +=
        fmt::format("; {} left that another process is building", count_of(size_t(cleaned.busy)));
  }
  write_to_stdout(text + "\n");
  return 0;
}

Command add_clean_command(CLI::App& engine) {
  CLI::App* parser =
      engine.add_subcommand("clean", "Remove all engines, and what their builds have learned");
  return {parser, [](const std::stop_token&) { return run_clean(); }};
}

}  // namespace

Command add_engine_command(CLI::App& program) {
  CLI::App* parser =
      program.add_subcommand("engine", "Build, list and remove the engines that -b tensorrt keeps");
  parser->require_subcommand(1);
  const std::vector<Command> commands{add_build_command(*parser), add_list_command(*parser),
                                      add_clean_command(*parser)};
  return {parser, [commands](const std::stop_token& stop) {
            const auto asked = std::ranges::find_if(
                commands, [](const Command& command) { return command.parser->parsed(); });
            return asked->run(stop);
          }};
}

}  // namespace upres
