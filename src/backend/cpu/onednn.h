// SPDX-License-Identifier: Apache-2.0
// Convolutions through oneDNN, in the blocked layout of blocks.h: to compare with.
#pragma once

#include <string>

#include "backend/cpu/engine.h"

namespace upres::cpu {

std::string onednn_title();  ///< "oneDNN 2.6.3"

Family onednn_family();

}  // namespace upres::cpu
