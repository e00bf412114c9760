// SPDX-License-Identifier: Apache-2.0
// Backend `cuda`: NVIDIA GPUs from Ampere on. Activations are fp16 with their channels innermost,
// sums fp32. The program runs on machines without an NVIDIA driver: the runtime is linked
// statically and looks for the driver when it is first called.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"

namespace upres {

/// The GPU `options.gpu`. Error{device} with one sentence that says what is missing where there is
/// no driver, no such GPU, or one that the kernels were not built for.
std::unique_ptr<Device> open_cuda_device(const DeviceOptions& options);

/// True when open_cuda_device() would find a GPU to work on.
bool has_cuda_device();

/// "CUDA 13.0"
std::string cuda_library();

}  // namespace upres
