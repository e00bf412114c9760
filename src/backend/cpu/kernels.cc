// SPDX-License-Identifier: Apache-2.0
#include "backend/cpu/kernels.h"

// The sets that are worth a version of their own.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/kernels.cc"
#include <hwy/foreach_target.h>
// Behind foreach_target.h, which includes this file once for each set.
#include <hwy/highway.h>

#include "backend/cpu/direct_inl.h"
#include "backend/cpu/samples_inl.h"
#include "backend/cpu/winograd_inl.h"

HWY_BEFORE_NAMESPACE();
namespace upres::cpu::HWY_NAMESPACE {

constexpr std::string_view kName = HWY_TARGET == HWY_AVX3   ? "avx512"
                                   : HWY_TARGET == HWY_AVX2 ? "avx2"
                                   : HWY_TARGET == HWY_SSE4 ? "sse4"
                                   : HWY_TARGET == HWY_NEON ? "neon"
                                                            : "plain";
constexpr std::string_view kTitle = HWY_TARGET == HWY_AVX3   ? "AVX-512"
                                    : HWY_TARGET == HWY_AVX2 ? "AVX2"
                                    : HWY_TARGET == HWY_SSE4 ? "SSE4"
                                    : HWY_TARGET == HWY_NEON ? "NEON"
                                                             : "no vector instructions";

inline const Kernels* table() {
  static constexpr Kernels kKernels{.name = kName,
                                    .title = kTitle,
                                    .lanes = kLanes,
                                    .gemm_rows = kGemmRows,
                                    .transformed_floats = transformed_floats,
                                    .transform_weights = transform_weights,
                                    .winograd_scratch = winograd_scratch,
                                    .winograd = winograd,
                                    .direct_scratch = direct_scratch,
                                    .direct = direct,
                                    .store_rgb8 = store_rgb8};
  return &kKernels;
}

}  // namespace upres::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace upres::cpu {
namespace {

struct Target {
  int64_t bit;
  const Kernels* (*table)();  ///< null where this build has none
};

// The fastest first; the last one runs everywhere.
constexpr Target kTargets[] = {{HWY_AVX3, HWY_CHOOSE_AVX3(table)},
                               {HWY_AVX2, HWY_CHOOSE_AVX2(table)},
                               {HWY_SSE4, HWY_CHOOSE_SSE4(table)},
                               {HWY_STATIC_TARGET, HWY_CHOOSE_FALLBACK(table)}};

}  // namespace

const std::vector<const Kernels*>& runnable_kernels() {
  static const std::vector<const Kernels*> runnable = [] {
    std::vector<const Kernels*> found;
    const int64_t supported = HWY_SUPPORTED_TARGETS | HWY_STATIC_TARGET;
    for (const Target& target : kTargets) {
      if (target.table && (supported & target.bit) != 0) found.push_back(target.table());
    }
    return found;
  }();
  return runnable;
}

}  // namespace upres::cpu
#endif
