// SPDX-License-Identifier: Apache-2.0
// Weights as PyTorch saved them first, up to version 0.1.9: a tar archive.
#pragma once

#include <cstddef>
#include <span>

#include "model/state_dict.h"

namespace upres {

/// The weights in such a file, as read_pth() gives them. Error{model} where it is damaged, hostile,
/// another archive or holds no weights.
StateDict read_legacy_tar(std::span<const std::byte> file, const CheckOutline& check = accept_any);

}  // namespace upres
