// SPDX-License-Identifier: Apache-2.0
// Backend `tensorrt`: NVIDIA's own compiler and runtime of networks, for those who have it. Its
// libraries are opened when the program runs; a build of upres without its headers, and a machine
// without the libraries, say so when the backend is asked for.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "backend/tensorrt/cache.h"

namespace upres {

/// Error{device} with one sentence that says what is missing where this build has no adapter, or
/// the machine no TensorRT that fits it, or no GPU `options.gpu`.
std::unique_ptr<Device> open_tensorrt_device(const DeviceOptions& options);

/// True when open_tensorrt_device() would find a GPU and a TensorRT. Opens its library, which takes
/// a moment.
bool has_tensorrt_device();

/// "headers of TensorRT 11.1.0", "not in this build"
std::string tensorrt_library();

namespace tensorrt {

/// An engine that is kept, as `upres engine build` made sure of.
struct Prepared {
  std::optional<std::filesystem::path> file;  ///< nothing where it could not be kept
  bool was_built;                             ///< false: it was there
  size_t size_bytes;
};

/// Has the engine of a graph built, unless it is in the cache and `anew` is false, without running
/// it. Where the machine has no GPU TensorRT-RTX builds it all the same, for none in particular.
/// Errors as of open_tensorrt_device() and load().
Prepared prepare_engine(const Graph& graph, Precision precision, const DeviceOptions& options,
                        bool anew);

/// For upres doctor: which TensorRT is there, and whether it runs networks on the first GPU, which
/// is tried with a small one.
std::string findings();

}  // namespace tensorrt
}  // namespace upres
