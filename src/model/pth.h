// SPDX-License-Identifier: Apache-2.0
// Weights as PyTorch 1.6 and later saves them: a zip archive of a pickle and raw storages.
#pragma once

#include <cstddef>
#include <span>

#include "model/state_dict.h"

namespace upres {

/// The weights in a file of torch.save(). Names are the file's, under the wrapper that it has
/// (params_ema, params, ...); tensors are contiguous, in the file's element types. What is not a
/// tensor is passed over. Error{model} where the file is damaged, hostile or holds no weights.
StateDict read_pth(std::span<const std::byte> file, const CheckOutline& check = accept_any);

}  // namespace upres
