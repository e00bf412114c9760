// SPDX-License-Identifier: Apache-2.0
// Weights as PyTorch before 1.6 saved them: a stream of pickles and raw storages.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "model/state_dict.h"

namespace upres {

/// What a file begins with: the pickle, of protocol 2, of a number of 10 bytes. PyTorch has never
/// written another.
constexpr std::string_view kLegacyPthMagic =
    "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// The weights in such a file, as read_pth() gives them. Error{model} where it is damaged, hostile
/// or holds no weights.
StateDict read_legacy_pth(std::span<const std::byte> file, const CheckOutline& check = accept_any);

}  // namespace upres
