// SPDX-License-Identifier: Apache-2.0
#include "media/metadata.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "media/iptc.h"

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::array<std::pair<const char*, const char*>, 4> kKinds = {
    {{"ICC", VIPS_META_ICC_NAME},
     {"EXIF", VIPS_META_EXIF_NAME},
     {"XMP", VIPS_META_XMP_NAME},
     {"IPTC", VIPS_META_IPTC_NAME}}};

/// Empty where there is no such field.
Bytes field(VipsImage* image, const char* name) {
  const void* data = nullptr;
  size_t size = 0;
  if (vips_image_get_typeof(image, name) != VIPS_TYPE_BLOB ||
      vips_image_get_blob(image, name, &data, &size) != 0) {
    return {};
  }
  return {static_cast<const std::byte*>(data), size};
}

/// Copies the bytes: those that HEIF's reader sets live as long as its image only.
void set_field(VipsImage* image, const char* name, Bytes bytes) {
  if (!bytes.empty()) vips_image_set_blob_copy(image, name, bytes.data(), bytes.size());
}

/// XMP of HEIF files, which libvips has as one of their "mime" items: heif-mime-1, …
Bytes heif_xmp(VipsImage* image) {
  constexpr int kMostItems = 16;
  for (int i = 0; i < kMostItems; ++i) {
    const Bytes item = field(image, fmt::format("heif-mime-{}", i).c_str());
    const std::string_view text(reinterpret_cast<const char*>(item.data()), item.size());
    if (text.find("<x:xmpmeta") != std::string_view::npos) return item;
  }
  return {};
}

}  // namespace

ImageMetadata metadata_of(VipsImage* image) {
  VipsHandle<VipsImage> fields(vips_image_new());
  const double across = vips_image_get_xres(image);
  const double down = vips_image_get_yres(image);
  const bool unknown = across == 1 && down == 1;  // what libvips has where a file says nothing
  vips_image_init_fields(fields.get(), 1, 1, 1, VIPS_FORMAT_UCHAR, VIPS_CODING_NONE,
                         VIPS_INTERPRETATION_B_W, unknown ? kUsualResolution : across,
                         unknown ? kUsualResolution : down);
  for (const auto& [kind, name] : kKinds) {
    set_field(fields.get(), name, field(image, name));
  }
  if (field(fields.get(), VIPS_META_XMP_NAME).empty()) {
    set_field(fields.get(), VIPS_META_XMP_NAME, heif_xmp(image));
  }
  const std::vector<std::byte> records = iptc_records(field(image, VIPS_META_IPTC_NAME));
  vips_image_remove(fields.get(), VIPS_META_IPTC_NAME);
  set_field(fields.get(), VIPS_META_IPTC_NAME, records);
  const char* unit = nullptr;
  if (vips_image_get_typeof(image, VIPS_META_RESOLUTION_UNIT) != 0 &&
      vips_image_get_string(image, VIPS_META_RESOLUTION_UNIT, &unit) == 0) {
    vips_image_set_string(fields.get(), VIPS_META_RESOLUTION_UNIT, unit);
  }
  return ImageMetadata(
      std::make_shared<const ImageMetadata::Fields>(ImageMetadata::Fields{std::move(fields)}));
}

void put_metadata(const ImageMetadata& metadata, ImageFormat format, VipsImage* image) {
  if (!metadata.fields()) return;
  VipsImage* const fields = metadata.fields()->image.get();
  for (const auto& [kind, name] : kKinds) {
    set_field(image, name, field(fields, name));
  }
  const Bytes iptc = field(fields, VIPS_META_IPTC_NAME);
  std::vector<std::byte> block(iptc.begin(), iptc.end());
  if (format == ImageFormat::jpeg && !iptc.empty()) block = photoshop_block(iptc);
  // libvips 8.14 gives their number in longs, which libtiff 4.5 takes for bytes: a quarter of what
  // stands here is written.
  if (format == ImageFormat::tiff) block.resize(4 * block.size());
  set_field(image, VIPS_META_IPTC_NAME, block);
  const char* unit = nullptr;
  if (vips_image_get_typeof(fields, VIPS_META_RESOLUTION_UNIT) != 0 &&
      vips_image_get_string(fields, VIPS_META_RESOLUTION_UNIT, &unit) == 0) {
    vips_image_set_string(image, VIPS_META_RESOLUTION_UNIT, unit);
  }
  vips_autorot_remove_angle(image);
  vips_image_remove(image, "jpeg-thumbnail-data");
}

std::string ImageMetadata::kinds() const {
  if (!fields_) return "";
  std::string kinds;
  for (const auto& [kind, name] : kKinds) {
    if (field(fields_->image.get(), name).empty()) continue;
    if (!kinds.empty()) kinds += ' ';
    kinds += kind;
  }
  return kinds;
}

}  // namespace upres
