// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "backend/backend.h"
#include "backend/cpu/cpu.h"
#ifdef UPRES_WITH_CUDA
#include "backend/cuda/cuda.h"
#endif
#include "backend/reference/reference.h"
#include "backend/tensorrt/tensorrt.h"
#include "base/error.h"

namespace upres {
namespace {

struct Backend {
  std::string_view name;
  std::unique_ptr<Device> (*open)(const DeviceOptions& options);
  std::string (*built)();
  bool (*can_run)();  ///< on this machine
};

// In the order in which `auto` prefers them: it never comes to what is behind the reference.
constexpr Backend kBackends[] = {
#ifdef UPRES_WITH_CUDA
    {"cuda", open_cuda_device, cuda_library, has_cuda_device},
#endif
    {"cpu", open_cpu_device, cpu_library, [] { return true; }},
    {"reference", open_reference_device, [] { return std::string("plain loops"); },
     [] { return true; }},
    {"tensorrt", open_tensorrt_device, tensorrt_library, has_tensorrt_device},
};

}  // namespace

std::vector<BackendInfo> backends() {
  std::vector<BackendInfo> all;
  for (const Backend& backend : kBackends) {
    all.push_back({std::string(backend.name), backend.built(), backend.can_run});
  }
  return all;
}

std::unique_ptr<Device> open_device(const std::string& name, const DeviceOptions& options) {
  std::string known = "auto";
  for (const Backend& backend : kBackends) {
    if (backend.name == name || (name == "auto" && backend.can_run())) return backend.open(options);
    known += fmt::format(", {}", backend.name);
  }
  fail(ErrorCode::usage, "there is no backend {}; this build has {}", name, known);
}

}  // namespace upres
