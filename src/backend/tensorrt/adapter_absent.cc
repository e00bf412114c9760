// SPDX-License-Identifier: Apache-2.0
#include "backend/tensorrt/adapter.h"
#include "base/error.h"

namespace upres::tensorrt {
namespace {

constexpr const char* kAsked = "adapter_headers() tells that there is no adapter";

}  // namespace

std::optional<Version> adapter_headers() {
  return std::nullopt;
}

int gpu_count() {
  return 0;
}

Gpu find_gpu(int) {
  UPRES_ASSERT(false, kAsked);
}

size_t free_memory(int) {
  UPRES_ASSERT(false, kAsked);
}

std::vector<std::byte> build_engine(const Library&, std::optional<int>, std::string_view, Precision,
                                    const Profile&, TimingCache&, const LoadEvents&) {
  UPRES_ASSERT(false, kAsked);
}

std::unique_ptr<Engine> load_engine(const Library&, std::span<const std::byte>, EngineFacts,
                                    std::string&) {
  UPRES_ASSERT(false, kAsked);
}

}  // namespace upres::tensorrt
