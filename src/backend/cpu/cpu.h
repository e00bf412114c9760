// SPDX-License-Identifier: Apache-2.0
// Backend `cpu`: oneDNN's direct convolutions on every core, float32. Values are in oneDNN's
// blocked layout; dense blocks are channel ranges of one wide value, so stacking costs nothing.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"

namespace upres {

std::unique_ptr<Device> open_cpu_device(const DeviceOptions& options);

/// "oneDNN 2.6.3"
std::string cpu_library();

}  // namespace upres
