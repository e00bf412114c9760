// SPDX-License-Identifier: Apache-2.0
#include "models.h"

namespace upres {

namespace fs = std::filesystem;

fs::path default_models_folder() {
  std::error_code unknown;
  const fs::path program = fs::read_symlink("/proc/self/exe", unknown).parent_path();
  const fs::path installed = program / "../share/upres/models";
  const fs::path built = program / "../../models";  // from build/release/
  return (fs::is_directory(installed, unknown) ? installed : built).lexically_normal();
}

void add_models_option(CLI::App& command, fs::path& folder) {
  command.add_option("-m,--models", folder, "Folder of models (default: the program's own)")
      ->option_text("DIR")
      ->group("Model");
}

}  // namespace upres
