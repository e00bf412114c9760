// SPDX-License-Identifier: Apache-2.0
// EXIF out of TIFF files, where its directories stand among those of the picture, and into them:
// libvips does neither. Included by media/ only.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "frame/frame.h"
#include "media/tiff_tags.h"

namespace upres {

/// What EXIF may take, in bytes. JPEG has room for 65533, as libexif, and its writers add some.
constexpr size_t kMostExif = 64'000;

/// What a picture's first directory says of how it was made (camera, date, artist, ...), with the
/// directories of camera settings and of the place.
struct Exif {
  ByteOrder order = ByteOrder::little;  ///< of the values
  std::vector<TiffTag> tags = {};
  bool too_large = false;  ///< there is more than kMostExif; the tags are not all
};

/// Of a TIFF file, or a block as other files hold it, which is a small TIFF with "Exif\0\0" before
/// it or without. What is damaged is left out.
Exif read_exif(std::span<const std::byte> file);

/// The block for other files.
std::vector<std::byte> exif_block(const Exif& exif);

/// What is to be written behind a TIFF file, of an even number of bytes, so that it has
/// EXIF: a first directory with the tags of the one it has and these. Where they say how large the
/// picture is, they then say `picture`. The address of the new directory is the file's size.
std::vector<std::byte> first_directory_with(const Exif& exif, std::span<const std::byte> file,
                                            Size picture);

}  // namespace upres
