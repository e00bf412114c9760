// SPDX-License-Identifier: Apache-2.0
// Weights in Hugging Face's safetensors format: a JSON header and raw tensors.
#pragma once

#include <cstddef>
#include <span>

#include "model/state_dict.h"

namespace upres {

/// The tensors in the order of their bytes. Error{model} where the header does not describe the
/// file exactly: tensors lie in the data without overlaps and without gaps.
StateDict read_safetensors(std::span<const std::byte> file);

}  // namespace upres
