// SPDX-License-Identifier: Apache-2.0
// The part of this backend that is compiled with TensorRT's headers (builder.cc, engine.cc), seen
// without them. A build that has none links adapter_absent.cc instead.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "backend/tensorrt/cache.h"
#include "backend/tensorrt/library.h"
#include "backend/tensorrt/profile.h"
#include "graph/graph.h"

namespace upres::tensorrt {

/// The headers that it was compiled with; nothing where this build has none. The other functions
/// are for builds that have them.
std::optional<Version> adapter_headers();

/// A GPU as engines are tied to it.
struct Gpu {
  int number;
  std::string name;
  int major, minor;  ///< compute capability
  int multiprocessors;
};

/// How many GPUs the driver knows; 0 where there is no driver, or no adapter.
int gpu_count();
/// Error{device}.
Gpu find_gpu(int number);
/// Bytes of a GPU's memory that are free.
size_t free_memory(int gpu);

/// Has TensorRT compile an ONNX file of a network for the present GPU, or for none where there is
/// none and the library can do without. Error{device} with TensorRT's own words where it does not,
/// Error{interrupted} soon after a stop request.
std::vector<std::byte> build_engine(const Library& library, std::optional<int> gpu,
                                    std::string_view onnx, Precision precision,
                                    const Profile& profile, TimingCache& timings,
                                    const LoadEvents& events);

/// What an engine that runs needs to know besides its bytes.
struct EngineFacts {
  Graph graph;
  Precision precision;  ///< of its input and output
  Profile profile;
  int gpu;
  size_t memory_limit;  ///< as in DeviceOptions
  /// Makes the same network's engine in single precision; empty where this one is.
  std::function<std::unique_ptr<Engine>()> in_single_precision;
};

/// Hands a built engine to TensorRT. Null where TensorRT refuses it; `refusal` gets its words.
std::unique_ptr<Engine> load_engine(const Library& library, std::span<const std::byte> bytes,
                                    EngineFacts facts, std::string& refusal);

}  // namespace upres::tensorrt
