// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string_view>

#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#include "backend/reference/reference.h"
#include "base/error.h"

namespace upres {
namespace {

struct Backend {
  std::string_view name;
  std::unique_ptr<Device> (*open)(const DeviceOptions& options);
  std::string (*built)();
};

// In the order in which `auto` prefers them.
constexpr std::array kBackends{
    Backend{"cpu", open_cpu_device, cpu_library},
    Backend{"reference", open_reference_device, [] { return std::string("plain loops"); }},
};

}  // namespace

std::vector<BackendInfo> backends() {
  std::vector<BackendInfo> all;
  for (const Backend& backend : kBackends) {
    all.push_back({std::string(backend.name), backend.built()});
  }
  return all;
}

std::unique_ptr<Device> open_device(const std::string& name, const DeviceOptions& options) {
  if (name == "auto") return kBackends.front().open(options);
  std::string known = "auto";
  for (const Backend& backend : kBackends) {
    if (backend.name == name) return backend.open(options);
    known += fmt::format(", {}", backend.name);
  }
  fail(ErrorCode::usage, "there is no backend {}; this build has {}", name, known);
}

}  // namespace upres
