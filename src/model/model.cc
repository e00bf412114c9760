// SPDX-License-Identifier: Apache-2.0
#include "model/model.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "model/blend.h"
#include "model/registry.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

/// What may follow a model's name, in order of preference. A .bin goes with its .param.
constexpr std::string_view kExtensions[] = {
    "", ".safetensors", ".fp16.safetensors", ".pth", ".param", ".param.bin", ".onnx"};

/// Of model files that are found by their whole name only.
constexpr std::string_view kOtherExtensions[] = {".ckpt", ".pt"};

/// The name by which a model's file is found; empty when it is none.
std::string name_of(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const std::string_view extension : kOtherExtensions) {
    if (name.ends_with(extension)) return name;
  }
  size_t longest = 0;  // .fp16.safetensors, not .safetensors
  for (const std::string_view extension : kExtensions) {
    if (name.ends_with(extension)) longest = std::max(longest, extension.size());
  }
  return longest == 0 ? "" : name.substr(0, name.size() - longest);
}

std::optional<fs::path> find_in(const fs::path& folder, const std::string& name) {
  std::error_code ignored;
  for (const std::string_view extension : kExtensions) {
    fs::path candidate = folder / (name + std::string(extension));
    if (fs::is_regular_file(candidate, ignored)) return candidate;
  }
  return std::nullopt;
}

/// What may be missing, in the words that tell how to get it.
[[noreturn]] void fail_missing(const std::string& name, const ModelFolders& folders) {
  const KnownModel* known = find_known_model(name);
  if (known && !known->url.empty()) {
    fail(ErrorCode::model, "{} is not here; get it with: upres models fetch {}", name, known->name);
  }
  const KnownModel* nearest = nearest_known_model(name);
  const std::string hint =
      nearest && nearest != known ? fmt::format("; did you mean {}?", nearest->name) : "";
  std::vector<std::string> places;
  for (const fs::path& folder : folders) places.push_back(folder.string());
  std::vector<std::string> names;
  for (const FoundModel& model : models_in(folders)) names.push_back(model.name);
  if (names.empty()) {
    fail(ErrorCode::model, "{}: no such model file, and no models are in {}{}", name,
         fmt::join(places, " or "), hint.empty() ? "; give a file or a folder" : hint);
  }
  fail(ErrorCode::model, "{}: no such model file; the models in {} are {}{}", name,
       fmt::join(places, " and "), fmt::join(names, ", "), hint);
}

/// "a graph of 5 convolutions and 9 other operators"
std::string description(const Graph& graph) {
  const auto& nodes = graph.nodes();
  const auto convolutions = std::count_if(nodes.begin(), nodes.end(), [](const Node& node) {
    return std::holds_alternative<Conv2d>(node.op);
  });
  return fmt::format("a graph of {} convolutions and {} other operators", convolutions,
                     int64_t(nodes.size()) - convolutions);
}

/// A network of no known architecture is run as it is where that is possible.
Recognised recognised_graph(const StateDict& weights, const Graph& graph, bool runs) {
  if (!runs) return recognise(weights, graph);
  if (auto found = find_architecture(weights, graph)) return std::move(*found);
  return {weights, {description(graph), graph}};
}

Model understood(ModelFile file) {
  Recognised recognised = file.graph ? recognised_graph(file.weights, *file.graph, file.graph_runs)
                                     : recognise(file.weights);
  verify(recognised.network.graph);
  file.weights = std::move(recognised.weights);
  return {std::move(file), std::move(recognised.network)};
}

}  // namespace

Model load_model(const fs::path& path) {
  ModelFile file = read_model_file(path, check_recognised);
  try {
    return understood(std::move(file));
  } catch (const Error& error) {
    throw about_file(path, error);
  }
}

Model load_blended_model(const fs::path& path, const fs::path& other_path, double weight) {
  Model model = load_model(path);
  const Model other = load_model(other_path);
  try {
    if (model.file.graph_runs && !find_architecture(model.file.weights, *model.file.graph)) {
      fail(ErrorCode::model, "upres does not know its architecture");
    }
    model.file.weights = blend(model.file.weights, other.file.weights, weight);
    if (model.network.architecture != other.network.architecture) {
      fail(ErrorCode::model, "one is {}, the other {}", model.network.architecture,
           other.network.architecture);
    }
    return understood(std::move(model.file));
  } catch (const Error& error) {
    const Error why(error.code(), fmt::format("cannot be mixed with {}: {}; choose models of one "
                                              "architecture and shape",
                                              other_path.string(), error.what()));
    throw about_file(path, why);
  }
}

fs::path find_model(const std::string& name_or_path, const ModelFolders& folders) {
  std::error_code ignored;
  if (fs::is_regular_file(name_or_path, ignored)) return name_or_path;
  for (const fs::path& folder : folders) {
    if (const auto file = find_in(folder, name_or_path)) return *file;
  }
  fail_missing(name_or_path, folders);
}

std::vector<FoundModel> models_in(const ModelFolders& folders) {
  std::vector<FoundModel> models;
  std::set<std::string> seen;
  for (const fs::path& folder : folders) {
    std::set<std::string> names;
    std::error_code ignored;  // a folder that cannot be read holds no models
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      const std::string name = name_of(entry.path());
      if (!name.empty() && entry.is_regular_file(ignored)) names.insert(name);
    }
    for (const std::string& name : names) {
      const auto file = find_in(folder, name);
      if (file && seen.insert(name).second) models.push_back({name, *file});
    }
  }
  return models;
}

}  // namespace upres
