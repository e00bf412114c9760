// SPDX-License-Identifier: Apache-2.0
#include "loaded.h"

#include "compile/compile.h"
#include "graph/footprint.h"
#include "model_folders.h"

namespace upres {

LoadedModel load_wanted_model(const NetworkOptions& options) {
  const ModelFolders folders = model_folders(options.models);
  const std::filesystem::path path = find_model(options.model, folders);
  const auto other = other_model(options.blend, path, folders);
  Model model = other ? load_blended_model(path, other->model, other->weight) : load_model(path);
  model.network.graph = translated(model.network.graph, options.habits);
  return {path, other, std::move(model)};
}

LoadedNetwork::LoadedNetwork(const Device& device, const LoadedModel& model,
                             const NetworkOptions& options)
    : engine(compile(model.model.network.graph, device, options.device.precision)),
      upscaler(device, *engine, model.model.network.graph, options.tiles) {}

void tell(Report& report, const NetworkOptions& options, const LoadedModel& model,
          const Device& device, double seconds) {
  const Network& network = model.model.network;
  report.loaded({.model = options.model,
                 .architecture = network.architecture,
                 .scale = network.graph.scale(),
                 .halo = footprint(network.graph).halo,
                 .device = device.name(),
                 .precision = device.chosen(options.device.precision),
                 .seconds = seconds});
  if (model.other) {
    report.detail(
        fmt::format("mixed   {} of {}", model.other->weight, model.other->model.string()));
  }
}

}  // namespace upres
