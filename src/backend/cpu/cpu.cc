// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/cpu.h"

#include <hwy/highway.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "backend/cpu/engine.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/packed_convolution.h"
#include "base/error.h"
#include "base/system.h"

#ifdef UPRES_WITH_ONEDNN
#include <dnnl.hpp>

#include "backend/cpu/onednn.h"
#endif

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

#ifdef UPRES_WITH_ONEDNN
bool onednn_has_avx512() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  return (int(isa) & int(dnnl::cpu_isa::avx512_core)) == int(dnnl::cpu_isa::avx512_core);
}

Family onednn_family() {
  if (!environment(kInstructionsVariable).empty()) {
    fail(ErrorCode::usage, "{} is for the project's own convolutions; oneDNN heeds {}",
         kInstructionsVariable, "ONEDNN_MAX_CPU_ISA");
  }
  const int lanes = onednn_has_avx512() ? 16 : 8;  // the block of its layout
  return {.lanes = lanes,
          .kernels = nullptr,
          .capabilities = {.fused_epilogue = true, .slice_alignment = lanes},
          .pack = [lanes](const Conv2d& conv) {
            return std::make_unique<cpu::OneDnnConvolution>(conv, lanes);
          }};
}

std::string onednn_title() {
  const dnnl::version_t* version = dnnl::version();
  return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}
#endif

bool wants_onednn() {
  const std::string_view wanted = environment(kConvolutionsVariable);
  if (wanted.empty() || wanted == "winograd") return false;
#ifdef UPRES_WITH_ONEDNN
  if (wanted == "onednn") return true;
#else
  if (wanted == "onednn") {
    fail(ErrorCode::usage, "this build of upres is without oneDNN; leave {} out",
         kConvolutionsVariable);
  }
#endif
  fail(ErrorCode::usage, "{} is {}; it takes winograd or onednn", kConvolutionsVariable, wanted);
}

class CpuDevice : public HostDevice {
 public:
  explicit CpuDevice(const DeviceOptions& options) : HostDevice(options) {
    const bool onednn = wants_onednn();
#ifdef UPRES_WITH_ONEDNN
    if (onednn) {
      title_ = onednn_title();
      family_ = onednn_family();
      return;
    }
#else
    UPRES_ASSERT(!onednn, "it was refused");
#endif
    const Kernels& kernels = chosen_kernels();
    title_ = kernels.title;
    family_ = own_family(kernels);
  }

  std::string name() const override {
    return fmt::format("{} ({}, {} threads)", processor_name(), title_, thread_count(options_));
  }
  Capabilities capabilities() const override {
    return family_.capabilities;
  }

 protected:
  std::unique_ptr<Engine> load_as(const Graph& graph, Precision) const override {
    return std::make_unique<cpu::CpuEngine>(graph, options_, family_);
  }

 private:
  std::string title_;
  Family family_;
};

}  // namespace

std::unique_ptr<Device> open_cpu_device(const DeviceOptions& options) {
  return std::make_unique<CpuDevice>(options);
}

std::string cpu_library() {
  std::string text = fmt::format("Highway {}.{}.{}", HWY_MAJOR, HWY_MINOR, HWY_PATCH);
#ifdef UPRES_WITH_ONEDNN
  text += ", " + onednn_title();
#endif
  return text;
}

std::vector<std::string> cpu_instruction_sets() {
  std::vector<std::string> names;
  for (const Kernels* kernels : cpu::runnable_kernels()) names.emplace_back(kernels->name);
  return names;
}

}  // namespace upres
