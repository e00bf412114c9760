// SPDX-License-Identifier: Apache-2.0
// IPTC's captions and keywords in the forms that files hold them in.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace upres {

/// The records themselves, as TIFF has them; out of Photoshop's block where they are in one. Empty
/// where there are none, or what is there is damaged.
std::vector<std::byte> iptc_records(std::span<const std::byte> field);

/// The records in a block as Photoshop puts into JPEG files.
std::vector<std::byte> photoshop_block(std::span<const std::byte> records);

}  // namespace upres
