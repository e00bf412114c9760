// SPDX-License-Identifier: Apache-2.0
// Backend `reference`: plain float loops over planar values, one thread. The oracle that every
// other backend is held to; it runs every operator, fused or not.
#pragma once

#include <memory>

#include "backend/backend.h"

namespace upres {

std::unique_ptr<Device> open_reference_device(const DeviceOptions& options);

}  // namespace upres
