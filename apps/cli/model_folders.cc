// SPDX-License-Identifier: Apache-2.0
#include "model_folders.h"

#include <cstdlib>

#include "base/system.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

fs::path program_models_folder() {
  std::error_code unknown;
  const fs::path program = program_path().parent_path();
  const fs::path installed = program / "../share/upres/models";
  const fs::path built = program / "../../models";  // from build/release/
  return (fs::is_directory(installed, unknown) ? installed : built).lexically_normal();
}

/// A folder that a variable names; the XDG specification has relative ones ignored.
std::optional<fs::path> folder_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (!value || !fs::path(value).is_absolute()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<fs::path> user_models_folder() {
  if (const auto data = folder_in("XDG_DATA_HOME")) return *data / "upres/models";
  if (const auto home = folder_in("HOME")) return *home / ".local/share/upres/models";
  return std::nullopt;
}

ModelFolders model_folders(const std::optional<fs::path>& given) {
  ModelFolders folders;
  if (given) folders.push_back(*given);
  if (const auto user = user_models_folder()) folders.push_back(*user);
  folders.push_back(program_models_folder());
  return folders;
}

void add_models_option(CLI::App& command, std::optional<fs::path>& folder) {
  command.add_option("-m,--models", folder, "Folder of models, looked into first")
      ->option_text("DIR")
      ->group("Model");
}

}  // namespace upres
