// SPDX-License-Identifier: Apache-2.0
// The directories of tags that TIFF files and EXIF are made of (TIFF 6.0; BigTIFF has wider ones).
// Included by media/ only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "media/file_bytes.h"

namespace upres {

/// A tag of a directory; or a directory of its own, then without a value.
struct TiffTag {
  uint16_t id = 0;
  uint16_t type = 0;
  uint64_t count = 0;
  std::vector<std::byte> value = {};  ///< in the file's byte order
  std::vector<TiffTag> directory = {};
};

/// How a file's numbers are written.
struct TiffForm {
  ByteOrder order = ByteOrder::little;
  bool big = false;  ///< BigTIFF: numbers of 8 bytes where others have 4 or 2

  int count_bytes() const { return big ? 8 : 2; }
  int address_bytes() const { return big ? 8 : 4; }
  int tag_bytes() const { return big ? 20 : 12; }
};

/// What the first bytes of a file say; nothing where they are not those of a TIFF.
std::optional<TiffForm> tiff_form(std::span<const std::byte> file);

/// Where the address of the first directory stands, and what it is.
inline uint64_t first_tiff_directory_at(TiffForm form) {
  return form.big ? 8 : 4;
}
inline uint64_t first_tiff_directory(std::span<const std::byte> file, TiffForm form) {
  return number_at(file, first_tiff_directory_at(form), form.address_bytes(), form.order);
}

/// Bytes of one element of that type; 0 for one that neither TIFF nor BigTIFF has.
int tiff_element_bytes(uint16_t type);

/// What is read of a directory: the tags that wanted(id) is true of, their values of left_bytes
/// together. Tags without a value, that the file does not hold whole, or of unknown types are left
/// out.
struct TiffTagsWanted {
  std::function<bool(uint16_t)> wanted;
  size_t left_bytes = 0;   ///< is counted down
  bool too_large = false;  ///< set where it was not enough; reading has ended there
};

/// The tags of the directory at `offset`, by number, each once.
std::vector<TiffTag> read_tiff_tags(std::span<const std::byte> file, TiffForm form, uint64_t offset,
                                    TiffTagsWanted& limits);

/// The tags of the first directory as they stand in it: the value of each is the bytes of its
/// entry, which may hold an address instead.
std::vector<TiffTag> read_tiff_entries(std::span<const std::byte> file, TiffForm form);

/// The values, and those of directories in them, from one byte order into another.
void reorder(std::vector<TiffTag>& tags, ByteOrder from, ByteOrder to);

/// The bytes of a directory that will stand at `offset`, an even one, with all that it refers to
/// behind it: directories within it, and values that do not fit into its entries. `next` is the
/// address of the directory that follows, or 0.
std::vector<std::byte> tiff_directory(std::span<const TiffTag> tags, TiffForm form, uint64_t offset,
                                      uint64_t next);

}  // namespace upres
