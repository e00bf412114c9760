// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/cpu.h"

#include <hwy/highway.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "backend/cpu/engine.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/packed_convolution.h"
#include "base/error.h"
#include "base/system.h"

namespace upres {
namespace {

using cpu::Family;
using cpu::Kernels;

constexpr const char* kInstructionsVariable = "UPRES_CPU";
constexpr const char* kConvolutionsVariable = "UPRES_CPU_CONV";

/// A variable of the environment; empty where it is not set.
std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

const Kernels& chosen_kernels() {
  const auto& all = cpu::runnable_kernels();
  const std::string_view wanted = environment(kInstructionsVariable);
  if (wanted.empty()) return *all.front();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Kernels* one) { return one->name == wanted; });
  if (found == all.end()) {
    fail(ErrorCode::usage, "{} is {}; this processor has {}", kInstructionsVariable, wanted,
         fmt::join(cpu_instruction_sets(), ", "));
  }
  return **found;
}

Family own_family(const Kernels& kernels) {
  return {.lanes = kernels.lanes,
          .kernels = &kernels,
          .capabilities = {.fused_epilogue = true,
                           .slice_alignment = kernels.lanes,
                           .enlarged_inputs = true,
                           .shuffled_result = 4},
          .pack = [&kernels](const Conv2d& conv) { return cpu::pack_convolution(conv, kernels); }};
}

/// A family, and what it is called.
struct Titled {
  std::string title;
  Family family;
};

/// Nothing in a build that is without it.
std::optional<Titled> onednn() {
#ifdef UPRES_WITH_ONEDNN
  return Titled{cpu::onednn_title(), cpu::onednn_family()};
#else
  return std::nullopt;
#endif
}

Titled wanted_onednn() {
  if (!environment(kInstructionsVariable).empty()) {
    fail(ErrorCode::usage, "{} is for the project's own convolutions; oneDNN heeds {}",
         kInstructionsVariable, "ONEDNN_MAX_CPU_ISA");
  }
  auto found = onednn();
  if (!found) {
    fail(ErrorCode::usage, "this build of upres is without oneDNN; leave {} out",
         kConvolutionsVariable);
  }
  return std::move(*found);
}

Titled chosen_family() {
  const std::string_view wanted = environment(kConvolutionsVariable);
  if (wanted == "onednn") return wanted_onednn();
  if (!wanted.empty() && wanted != "winograd") {
    fail(ErrorCode::usage, "{} is {}; it takes winograd or onednn", kConvolutionsVariable, wanted);
  }
  const Kernels& kernels = chosen_kernels();
  return {std::string(kernels.title), own_family(kernels)};
}

class CpuDevice : public HostDevice {
 public:
  explicit CpuDevice(const DeviceOptions& options)
      : HostDevice(options), chosen_(chosen_family()) {}

  std::string name() const override {
    return fmt::format("{} ({}, {} threads)", processor_name(), chosen_.title,
                       thread_count(options_));
  }
  Capabilities capabilities() const override { return chosen_.family.capabilities; }

 protected:
  std::unique_ptr<Engine> load_as(const Graph& graph, Precision) const override {
    return std::make_unique<cpu::CpuEngine>(graph, options_, chosen_.family);
  }

 private:
  Titled chosen_;
};

}  // namespace

std::unique_ptr<Device> open_cpu_device(const DeviceOptions& options) {
  return std::make_unique<CpuDevice>(options);
}

std::string cpu_library() {
  std::string text = fmt::format("Highway {}.{}.{}", HWY_MAJOR, HWY_MINOR, HWY_PATCH);
  if (const auto other = onednn()) text += ", " + other->title;
  return text;
}

std::vector<std::string> cpu_instruction_sets() {
  std::vector<std::string> names;
  for (const Kernels* kernels : cpu::runnable_kernels()) names.emplace_back(kernels->name);
  return names;
}

}  // namespace upres
