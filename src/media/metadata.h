// SPDX-License-Identifier: Apache-2.0
// What ImageMetadata holds, for the reader and the writer. Included by media/ only.
#pragma once

#include "media/image_reader.h"
#include "media/vips.h"

namespace upres {

/// An image of one pixel that nobody reads, with fields and resolution.
struct ImageMetadata::Fields {
  VipsHandle<VipsImage> image;
};

/// Copies what a file holds beside its samples. The EXIF block leaves its orientation behind, which
/// has been applied, and its thumbnail, which would show the picture as it was before.
void copy_metadata(VipsImage* from, VipsImage* to);

}  // namespace upres
