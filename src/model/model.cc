// SPDX-License-Identifier: Apache-2.0
#include "model/model.h"

#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "model/blend.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

/// What may follow a model's name, in order of preference. A .bin goes with its .param.
constexpr std::string_view kExtensions[] = {"",     ".safetensors", ".fp16.safetensors",
                                            ".pth", ".param",       ".param.bin"};

/// The names by which models of a folder can be found, in alphabetical order.
std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code ignored;  // a folder that cannot be read holds no models
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    std::string name = entry.path().filename().string();
    bool is_model = false;
    for (const std::string_view extension : kExtensions) {
      if (extension.empty() || !name.ends_with(extension)) continue;
      name.resize(name.size() - extension.size());
      is_model = true;
    }
    if (is_model) names.insert(name);
  }
  return names;
}

Model understood(ModelFile file) {
  Recognised recognised =
      file.graph ? recognise(file.weights, *file.graph) : recognise(file.weights);
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

fs::path find_model(const std::string& name_or_path, const fs::path& folder) {
  std::error_code ignored;
  if (fs::is_regular_file(name_or_path, ignored)) return name_or_path;
  for (const std::string_view extension : kExtensions) {
    fs::path candidate = folder / (name_or_path + std::string(extension));
    if (fs::is_regular_file(candidate, ignored)) return candidate;
  }
  const auto names = names_in(folder);
  if (names.empty()) {
    fail(ErrorCode::model,
         "{}: no such model file, and {} holds no models; give a file or a folder", name_or_path,
         folder.string());
  }
  fail(ErrorCode::model, "{}: no such model file; the models in {} are {}", name_or_path,
       folder.string(), fmt::join(names, ", "));
}

}  // namespace upres
