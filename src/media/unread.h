// SPDX-License-Identifier: Apache-2.0
// Metadata that a file has and libvips does not read.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace upres {

/// What of it is lost, as in "EXIF of TIFF files"; empty where nothing is, or where it cannot be
/// told. Looks at the EXIF tag of a TIFF file's first page, and for IPTC among a PNG file's chunks.
std::string_view unread_metadata(std::span<const std::byte> file);

}  // namespace upres
