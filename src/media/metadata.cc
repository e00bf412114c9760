// SPDX-License-Identifier: Apache-2.0
#include "media/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "media/exif.h"
#include "media/file_bytes.h"
#include "media/iptc.h"
#include "media/raw_profile.h"

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::array<std::pair<const char*, const char*>, 4> kKinds = {
    {{"ICC", VIPS_META_ICC_NAME},
     {"EXIF", VIPS_META_EXIF_NAME},
     {"XMP", VIPS_META_XMP_NAME},
     {"IPTC", VIPS_META_IPTC_NAME}}};

constexpr const char* kTooMuchExif = "EXIF of more than 64 kB";

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

bool is_kept(std::string_view kind, size_t size, ImageFormat format) {
  // A segment has 65533 bytes, of which XMP and IPTC need some for their names.
  constexpr size_t kMostInSegment = 65'400;
  const bool in_segment = format == ImageFormat::jpeg && kind != "ICC";
  return traits(format).keeps.find(kind) != std::string_view::npos &&
         (!in_segment || size <= kMostInSegment);
}

/// EXIF of a TIFF file.
void set_exif_of_tiff(VipsImage* fields, Bytes file, std::string& unread) {
  const Exif exif = read_exif(file);
  if (exif.too_large) {
    unread = kTooMuchExif;
  } else if (!exif.tags.empty()) {
    set_field(fields, VIPS_META_EXIF_NAME, exif_block(exif));
  }
}

/// What stands behind a name in bytes that start with it; else all of them.
Bytes without(std::string_view name, Bytes bytes) {
  return text_of(bytes).starts_with(name) ? bytes.subspan(name.size()) : bytes;
}

/// Metadata in text chunks of a PNG file, where it has none of its kind in a chunk of its own.
void set_raw_profiles(VipsImage* fields, VipsImage* image) {
  using namespace std::string_view_literals;
  constexpr std::string_view kXmp = "http://ns.adobe.com/xap/1.0/\0"sv;
  constexpr std::string_view kExif = "Exif\0\0"sv;
  const std::unique_ptr<gchar*, void (*)(gchar**)> names(vips_image_get_fields(image), g_strfreev);
  for (gchar** name = names.get(); name && *name; ++name) {
    // "png-comment-0-Raw profile type iptc"
    const std::string_view key = *name;
    const size_t found = key.find(kRawProfile);
    const char* text = nullptr;
    if (!key.starts_with("png-comment-") || found == std::string_view::npos ||
        vips_image_get_string(image, *name, &text) != 0) {
      continue;
    }
    const std::string_view kind = key.substr(found + kRawProfile.size());
    const std::vector<std::byte> bytes = raw_profile(text);
    const char* to = nullptr;
    if (kind == "iptc" || kind == "8bim") to = VIPS_META_IPTC_NAME;
    if (kind == "xmp") to = VIPS_META_XMP_NAME;
    if (kind == "exif") to = VIPS_META_EXIF_NAME;
    if (kind == "APP1" && text_of(bytes).starts_with(kXmp)) to = VIPS_META_XMP_NAME;
    if (kind == "APP1" && text_of(bytes).starts_with(kExif)) to = VIPS_META_EXIF_NAME;
    if (to && field(fields, to).empty()) set_field(fields, to, without(kXmp, bytes));
  }
}

/// Whether one of a PNG file's chunks claims to hold IPTC.
bool has_iptc_text(Bytes file) {
  bool found = false;
  for_each_png_chunk(file, [&](const PngChunk& chunk) {
    const bool is_text = chunk.name == "tEXt" || chunk.name == "zTXt" || chunk.name == "iTXt";
    found = is_text && chunk.data.starts_with(kRawProfile) &&
            chunk.data.substr(kRawProfile.size()).starts_with("iptc");
    return !found;
  });
  return found;
}

}  // namespace

ImageMetadata metadata_of(VipsImage* image, Bytes file, std::string unread) {
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
  const bool is_png = text_of(file).starts_with(kPngSignature);
  if (is_png) set_raw_profiles(fields.get(), image);
  if (tiff_form(file)) set_exif_of_tiff(fields.get(), file, unread);
  if (field(fields.get(), VIPS_META_EXIF_NAME).size() > kMostExif) {
    vips_image_remove(fields.get(), VIPS_META_EXIF_NAME);
    unread = kTooMuchExif;
  }
  const std::vector<std::byte> records = iptc_records(field(fields.get(), VIPS_META_IPTC_NAME));
  if (is_png && records.empty() && has_iptc_text(file))
    unread = "IPTC that is damaged or too large";
  vips_image_remove(fields.get(), VIPS_META_IPTC_NAME);
  set_field(fields.get(), VIPS_META_IPTC_NAME, records);
  const char* unit = nullptr;
  if (vips_image_get_typeof(image, VIPS_META_RESOLUTION_UNIT) != 0 &&
      vips_image_get_string(image, VIPS_META_RESOLUTION_UNIT, &unit) == 0) {
    vips_image_set_string(fields.get(), VIPS_META_RESOLUTION_UNIT, unit);
  }
  return ImageMetadata(
      std::make_shared<const ImageMetadata::Fields>(std::move(fields), std::move(unread)));
}

void put_metadata(const ImageMetadata& metadata, ImageFormat format, VipsImage* image) {
  if (!metadata.fields()) return;
  VipsImage* const fields = metadata.fields()->image.get();
  for (const auto& [kind, name] : kKinds) {
    const Bytes bytes = field(fields, name);
    if (is_kept(kind, bytes.size(), format)) set_field(image, name, bytes);
  }
  const Bytes iptc = field(image, VIPS_META_IPTC_NAME);
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

Bytes exif_of(const ImageMetadata& metadata) {
  if (!metadata.fields()) return {};
  return field(metadata.fields()->image.get(), VIPS_META_EXIF_NAME);
}

std::string ImageMetadata::lost_in(ImageFormat format) const {
  std::string lost;
  if (!fields_) return lost;
  for (const auto& [kind, name] : kKinds) {
    const Bytes bytes = field(fields_->image.get(), name);
    if (bytes.empty() || is_kept(kind, bytes.size(), format)) continue;
    if (!lost.empty()) lost += ", ";
    lost += kind;
  }
  return lost;
}

std::string_view ImageMetadata::unread() const {
  return fields_ ? std::string_view(fields_->unread) : "";
}

}  // namespace upres
