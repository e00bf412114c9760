// SPDX-License-Identifier: Apache-2.0
#include "media/unread.h"

#include <cstdint>

#include "media/file_bytes.h"

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

/// TIFF 6.0, and BigTIFF's wider directory.
bool tiff_has_exif(Bytes file) {
  constexpr uint64_t kExifTag = 34665;
  constexpr uint64_t kMostEntries = 4096;
  const ByteOrder order = file[0] == std::byte('M') ? ByteOrder::big : ByteOrder::little;
  const bool is_big = number_at(file, 2, 2, order) == 43;
  const int address = is_big ? 8 : 4;
  const uint64_t directory = number_at(file, is_big ? 8 : 4, address, order);
  const uint64_t count = number_at(file, directory, is_big ? 8 : 2, order);
  const uint64_t first = directory + (is_big ? 8 : 2);
  for (uint64_t i = 0; i < count && i < kMostEntries; ++i) {
    if (number_at(file, first + i * (is_big ? 20 : 12), 2, order) == kExifTag) return true;
  }
  return false;
}

/// As ImageMagick and exiftool write it: a text chunk of that name.
bool png_has_iptc(Bytes file) {
  bool found = false;
  for_each_png_chunk(file, [&](const PngChunk& chunk) {
    const bool is_text = chunk.name == "tEXt" || chunk.name == "zTXt" || chunk.name == "iTXt";
    found = is_text && chunk.data.starts_with("Raw profile type iptc");
    return !found;
  });
  return found;
}

}  // namespace

std::string_view unread_metadata(Bytes file) {
  const std::string_view text = text_of(file);
  const std::string_view start = text.substr(0, 4);
  const bool is_tiff =
      start == std::string_view("II*\0", 4) || start == std::string_view("MM\0*", 4) ||
      start == std::string_view("II+\0", 4) || start == std::string_view("MM\0+", 4);
  if (is_tiff && tiff_has_exif(file)) return "EXIF of TIFF files";
  if (text.starts_with("\x89PNG\r\n\x1a\n") && png_has_iptc(file)) return "IPTC of PNG files";
  return "";
}

}  // namespace upres
