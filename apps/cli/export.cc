// SPDX-License-Identifier: Apache-2.0
// upres export: writes a model as ONNX, for other programs.
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "blend.h"
#include "command.h"
#include "graph/footprint.h"
#include "habits.h"
#include "model/model.h"
#include "model/registry.h"
#include "model_folders.h"
#include "onnx/write.h"
#include "parse.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

struct ExportOptions {
  std::string model;
  std::optional<fs::path> models;
  BlendChoice blend;
  Habits habits;
  fs::path output;
  bool overwrite = false;
  OnnxOptions onnx = {.size = std::nullopt, .batch = 1};
};

/// Before the model is read.
void check_output(const ExportOptions& options) {
  if (options.output.extension() != ".onnx") {
    fail(ErrorCode::usage, "export writes .onnx files; {} is called otherwise",
         options.output.string());
  }
  if (!options.overwrite && exists(options.output)) {
    fail(ErrorCode::output, "{} exists; give --overwrite, or choose another -o",
         options.output.string());
  }
}

void check_size(const OnnxOptions& options, const Graph& graph) {
  const int alignment = footprint(graph).alignment;
  if (options.size &&
      (options.size->width % alignment != 0 || options.size->height % alignment != 0)) {
    fail(ErrorCode::usage,
         "--size {}x{}: the network takes pictures whose sides are multiples of {}",
         options.size->width, options.size->height, alignment);
  }
}

std::map<std::string, std::string> metadata(const Model& model, const fs::path& path,
                                            const std::optional<Share<fs::path>>& other) {
  std::map<std::string, std::string> entries{
      {"architecture", model.network.architecture},
      {"scale", fmt::format("{}", model.network.graph.scale())},
      {"alignment", fmt::format("{}", footprint(model.network.graph).alignment)},
      {"input", "RGB, 0 to 1"},
      {"source_name", path.filename().string()},
      {"source_sha256", model.file.sha256},
  };
  for (const KnownModel& known : known_models()) {
    if (known.sha256 == model.file.sha256) entries["licence"] = known.licence;
  }
  if (other) {
    entries["mixed_with"] = other->model.filename().string();
    entries["mixed_share"] = fmt::format("{}", other->weight);
  }
  return entries;
}

int run(ExportOptions& options) {
  check_output(options);
  const ModelFolders folders = model_folders(options.models);
  const fs::path path = find_model(options.model, folders);
  const auto other = other_model(options.blend, path, folders);
  Model model = other ? load_blended_model(path, other->model, other->weight) : load_model(path);
  model.network.graph = translated(model.network.graph, options.habits);
  check_size(options.onnx, model.network.graph);
  options.onnx.metadata = metadata(model, path, other);
  const std::string bytes = write_onnx(model.network.graph, options.onnx);
  AtomicFile file(options.output, options.overwrite ? Existing::replace : Existing::refuse);
  file.write(std::as_bytes(std::span(bytes)));
  file.commit();
  fmt::print("{} -> {}  {}, float{}\n", path.string(), options.output.string(),
             model.network.architecture, options.onnx.half ? 16 : 32);
  return 0;
}

void set_precision(OnnxOptions& options, const std::string& name) {
  if (name != "fp16" && name != "fp32") {
    throw CLI::ValidationError("--precision", fmt::format("'{}' is not fp16 or fp32", name));
  }
  options.half = name == "fp16";
}

}  // namespace

Command add_export_command(CLI::App& program) {
  CLI::App* parser = program.add_subcommand("export", "Write a model as .onnx, for other programs");
  const auto options = std::make_shared<ExportOptions>();
  parser->add_option("MODEL", options->model, "Name or file of the model")->required();
  parser->add_option("-o,--output", options->output, "File, ending in .onnx")
      ->option_text("OUT")
      ->required();
  parser->add_flag("--overwrite", options->overwrite, "Replace an output that exists");
  parser
      ->add_option_function<std::string>(
          "--precision", [options](const std::string& name) { set_precision(options->onnx, name); },
          "Of weights, input and output (default: fp32)")
      ->option_text("fp16|fp32");
  parser
      ->add_option_function<std::string>(
          "--size",
          [options](const std::string& text) { options->onnx.size = parse_size("--size", text); },
          "The only size of picture to be taken (default: any)")
      ->option_text("WxH");
  parser
      ->add_option_function<int>(
          "--batch",
          [options](int batch) {
            options->onnx.batch = batch == 0 ? std::nullopt : std::optional(batch);
          },
          "Pictures at once, 0 for any number (default: 1)")
      ->option_text("N")
      ->check(CLI::Range(0, 1 << 16));
  parser
      ->add_option("--opset", options->onnx.opset,
                   fmt::format("Version of ONNX's operators, {} to {} (default: {})",
                               kOldestOnnxOpset, kNewestOnnxOpset, options->onnx.opset))
      ->option_text("N")
      ->check(CLI::Range(kOldestOnnxOpset, kNewestOnnxOpset));
  add_models_option(*parser, options->models);
  add_blend_options(*parser, options->blend);
  add_habit_options(*parser, options->habits);
  return {parser, [options](const std::stop_token&) { return run(*options); }};
}

}  // namespace upres
