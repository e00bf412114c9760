// SPDX-License-Identifier: Apache-2.0
// Backend `cpu`: every core, float32. Convolutions are the project's own (packed_convolution.h),
// with the fastest vector instructions that the processor has.
//
// For tests and comparison the environment chooses others: UPRES_CPU=avx512|avx2|sse4|neon|plain
// the instructions, UPRES_CPU_CONV=onednn oneDNN's direct convolutions (winograd: the usual ones).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace upres {

/// Error{usage} where the environment names what this processor or this build has not.
std::unique_ptr<Device> open_cpu_device(const DeviceOptions& options);

/// "Highway 1.0.3, oneDNN 2.6.3"
std::string cpu_library();

/// What UPRES_CPU may name on this processor, the fastest first.
std::vector<std::string> cpu_instruction_sets();

}  // namespace upres
