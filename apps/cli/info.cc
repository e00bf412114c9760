// SPDX-License-Identifier: Apache-2.0
// upres info: what a model file holds.
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"
#include "command.h"
#include "compile/compile.h"
#include "graph/footprint.h"
#include "model/model.h"
#include "model_folders.h"
#include "standard_output.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

struct InfoOptions {
  std::string model;
  std::optional<fs::path> models;
  bool print_graph = false;
  std::string backend = "auto";
};

/// "float16", or "float16, float32" where a file mixes them.
std::string weights_types(const StateDict& weights) {
  std::set<std::string_view> types;
  for (const auto& [_, tensor] : weights) types.insert(name(tensor.dtype()));
  return fmt::format("{}", fmt::join(types, ", "));
}

std::string facts(const Model& model, const fs::path& path) {
  const Graph& graph = model.network.graph;
  const Footprint footprint = upres::footprint(graph);
  const std::pair<const char*, std::string> lines[] = {
      {"file", path.string()},
      {"size", fmt::format("{} bytes", fs::file_size(path))},
      {"format", model.file.format},
      {"sha256", model.file.sha256},
      {"weights", weights_types(model.file.weights)},
      {"architecture", model.network.architecture},
      {"parameters", fmt::format("{}", parameter_count(graph))},
      {"scale", fmt::format("{}", graph.scale())},
      {"halo", fmt::format("{} pixels", footprint.halo)},
      {"alignment", fmt::format("{}", footprint.alignment)},
      {"cost", fmt::format("{:.3f} MFLOP per input pixel", flops_per_pixel(graph) / 1e6)},
  };
  std::string text;
  for (const auto& [key, value] : lines) text += fmt::format("{:<13} {}\n", key, value);
  return text;
}

std::string graphs(const Graph& graph, const std::string& backend) {
  const auto device = open_device(backend, {});
  return fmt::format("\nas read:\n{}\nafter the passes for {}:\n{}", print(graph), device->name(),
                     print(optimise(graph, device->capabilities())));
}

int run(const InfoOptions& options) {
  const fs::path path = find_model(options.model, model_folders(options.models));
  const Model model = load_model(path);
  std::string text = facts(model, path);
  if (options.print_graph) text += graphs(model.network.graph, options.backend);
  write_to_stdout(text);
  return 0;
}

}  // namespace

Command add_info_command(CLI::App& program) {
  CLI::App* parser =
      program.add_subcommand("info", "Tell what a model file holds; MODEL is a name or a file");
  const auto options = std::make_shared<InfoOptions>();
  parser->add_option("MODEL", options->model, "Name or file of the model")->required();
  add_models_option(*parser, options->models);
  auto* print_graph = parser->add_flag("--print-graph", options->print_graph,
                                       "Print the network before and after the passes");
  print_graph->group("Graph");
  parser->add_option("-b,--backend", options->backend, "Whose passes: auto, cpu, reference")
      ->option_text("NAME")
      ->needs(print_graph)
      ->group("Graph");
  return {parser, [options](const std::stop_token&) { return run(*options); }};
}

}  // namespace upres
