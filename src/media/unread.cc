// SPDX-License-Identifier: Apache-2.0
#include "media/unread.h"

#include <cstdint>

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

/// A number of `size` bytes; 0 where the file ends before it.
uint64_t number_at(Bytes file, uint64_t offset, int size, bool big_endian) {
  if (offset > file.size() || file.size() - offset < uint64_t(size)) return 0;
  uint64_t number = 0;
  for (int i = 0; i < size; ++i) {
    const int shift = 8 * (big_endian ? size - 1 - i : i);
    number |= uint64_t(file[offset + uint64_t(i)]) << shift;
  }
  return number;
}

std::string_view text_of(Bytes file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

/// TIFF 6.0, and BigTIFF's wider directory.
bool tiff_has_exif(Bytes file) {
  constexpr uint64_t kExifTag = 34665;
  constexpr uint64_t kMostEntries = 4096;
  const bool big_endian = file[0] == std::byte('M');
  const bool is_big = number_at(file, 2, 2, big_endian) == 43;
  const int address = is_big ? 8 : 4;
  const uint64_t directory = number_at(file, is_big ? 8 : 4, address, big_endian);
  const uint64_t count = number_at(file, directory, is_big ? 8 : 2, big_endian);
  const uint64_t first = directory + (is_big ? 8 : 2);
  for (uint64_t i = 0; i < count && i < kMostEntries; ++i) {
    if (number_at(file, first + i * (is_big ? 20 : 12), 2, big_endian) == kExifTag) return true;
  }
  return false;
}

/// As ImageMagick and exiftool write it: a text chunk of that name.
bool png_has_iptc(Bytes file) {
  constexpr uint64_t kSignature = 8;
  constexpr uint64_t kAroundData = 12;  // a chunk's length, name and check
  for (uint64_t at = kSignature; at + kAroundData <= file.size();) {
    const std::string_view chunk = text_of(file.subspan(at));
    const std::string_view name = chunk.substr(4, 4);
    const std::string_view data = chunk.substr(8);
    if ((name == "tEXt" || name == "zTXt" || name == "iTXt") &&
        data.starts_with("Raw profile type iptc")) {
      return true;
    }
    at += kAroundData + number_at(file, at, 4, true);
  }
  return false;
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
