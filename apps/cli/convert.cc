// SPDX-License-Identifier: Apache-2.0
// upres convert: writes a model file as safetensors.
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "command.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "model_folders.h"
#include "task.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

struct ConvertOptions {
  std::string model;
  std::optional<fs::path> models;
  fs::path output;
  bool overwrite = false;
};

/// Before the model is read.
void check_output(const ConvertOptions& options) {
  if (options.output.extension() != ".safetensors") {
    fail(ErrorCode::output, "convert writes .safetensors files; {} is called otherwise",
         options.output.string());
  }
  if (!options.overwrite && exists(options.output)) {
    fail(ErrorCode::output, "{} exists; give --overwrite, or choose another -o",
         options.output.string());
  }
}

/// safetensors holds weights alone: refuses a network that they do not tell, but only the graph of
/// its file does.
void check_told_by_weights(const fs::path& path, const Model& model) {
  if (model.file.graph_runs && !find_architecture(model.file.weights, *model.file.graph)) {
    fail(ErrorCode::model,
         "{}: {} cannot be written, as safetensors holds weights alone; use the model as it is",
         path.string(), model.network.architecture);
  }
  const std::string told = recognise(model.file.weights).network.architecture;
  if (told == model.network.architecture) return;
  fail(ErrorCode::model,
       "{}: {} cannot be written, as safetensors holds weights alone and theirs is {}; use the "
       "model as it is",
       path.string(), model.network.architecture, told);
}

int run(const ConvertOptions& options) {
  check_output(options);
  const fs::path path = find_model(options.model, model_folders(options.models));
  const Model model = load_model(path);
  if (model.file.graph) check_told_by_weights(path, model);
  const std::map<std::string, std::string> metadata{
      {"architecture", model.network.architecture},
      {"scale", fmt::format("{}", model.network.graph.scale())},
      {"source_format", model.file.format},
      {"source_name", path.filename().string()},
      {"source_sha256", model.file.sha256},
  };
  write_safetensors(options.output, options.overwrite ? Existing::replace : Existing::refuse,
                    model.file.weights, metadata);
  fmt::print("{} -> {}  {}\n", path.string(), options.output.string(), model.network.architecture);
  return 0;
}

}  // namespace

Command add_convert_command(CLI::App& program) {
  CLI::App* parser = program.add_subcommand("convert", "Write a model file as .safetensors");
  const auto options = std::make_shared<ConvertOptions>();
  parser->add_option("MODEL", options->model, "Name or file of the model")->required();
  parser->add_option("-o,--output", options->output, "File, ending in .safetensors")
      ->option_text("OUT")
      ->required();
  parser->add_flag("--overwrite", options->overwrite, "Replace an output that exists");
  add_models_option(*parser, options->models);
  return {parser, [options](const std::stop_token&) { return run(*options); }};
}

}  // namespace upres
