// SPDX-License-Identifier: Apache-2.0
// Metadata in text chunks of PNG files, as ImageMagick and exiftool write what PNG has no chunk
// for. Included by media/ only.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace upres {

/// What the key of such a text starts with; "iptc", "xmp", "exif" or the like follows.
constexpr std::string_view kRawProfile = "Raw profile type ";

/// The bytes that the text holds: a line with a name, one with their number, and lines of
/// hexadecimal digits. Empty where it is damaged.
std::vector<std::byte> raw_profile(std::string_view text);

}  // namespace upres
