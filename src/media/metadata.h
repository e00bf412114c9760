// SPDX-License-Identifier: Apache-2.0
// What ImageMetadata holds, for the reader and the writer. Included by media/ only.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "media/image_format.h"
#include "media/image_reader.h"
#include "media/vips.h"

namespace upres {

/// An image of one pixel that nobody reads, with fields and resolution. IPTC stands there as its
/// records alone.
struct ImageMetadata::Fields {
  VipsHandle<VipsImage> image;
  std::string unread;
};

// Pixels per mm where a file says nothing: 72 per inch.
constexpr double kUsualResolution = 72 / 25.4;

/// What a file, read as `image`, holds beside its samples. The EXIF block leaves its orientation
/// behind, which has been applied, and its thumbnail, which would show the picture as it was
/// before. `unread` names what reading has lost already.
ImageMetadata metadata_of(VipsImage* image, std::span<const std::byte> file, std::string unread);

/// The EXIF block, where there is one.
std::span<const std::byte> exif_of(const ImageMetadata& metadata);

/// Puts it into an image that is about to be written in that format.
void put_metadata(const ImageMetadata& metadata, ImageFormat format, VipsImage* image);

}  // namespace upres
