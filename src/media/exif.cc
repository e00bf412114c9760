// SPDX-License-Identifier: Apache-2.0
#include "media/exif.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::string_view kPrefix("Exif\0\0", 6);

// Directories within directories: EXIF's own and GPS in the first one, and one in EXIF's.
constexpr uint16_t kExifDirectory = 0x8769;
constexpr uint16_t kGpsDirectory = 0x8825;
constexpr uint16_t kInteroperability = 0xa005;

constexpr uint16_t kLong = 4;
constexpr uint16_t kPixelWidth = 0xa002, kPixelHeight = 0xa003;

/// Tags of a first directory that tell how a picture was made, and not how its samples are stored;
/// its resolution and orientation are looked after elsewhere.
bool is_description(uint16_t id) {
  constexpr uint16_t kDescriptions[] = {
      0x010d,                  // DocumentName
      0x010e,                  // ImageDescription
      0x010f,         0x0110,  // Make, Model
      0x011d,                  // PageName
      0x0131,         0x0132,  // Software, DateTime
      0x013b,         0x013c,  // Artist, HostComputer
      0x4746,         0x4749,  // Rating, RatingPercent
      0x8298,                  // Copyright
      0x9c9b,         0x9c9c,       0x9c9d,
      0x9c9e,         0x9c9f,  // XPTitle, XPComment, XPAuthor, XPKeywords, XPSubject
      kExifDirectory, kGpsDirectory};
  return std::ranges::count(kDescriptions, id) > 0;
}

/// Reads the directories that some of the tags are addresses of, or drops what has none there.
template <typename Read>
void replace_addresses(std::vector<TiffTag>& tags, ByteOrder order,
                       std::initializer_list<uint16_t> ids, Read&& read) {
  for (TiffTag& tag : tags) {
    if (std::ranges::count(ids, tag.id) == 0) continue;
    const uint64_t address =
        number_at(tag.value, 0, int(std::min<size_t>(tag.value.size(), 8)), order);
    tag.value.clear();
    tag.directory = read(address);
  }
  std::erase_if(tags, [&](const TiffTag& tag) {
    return std::ranges::count(ids, tag.id) > 0 && tag.directory.empty();
  });
}

/// Drops tags of the types that BigTIFF added, which EXIF does not have.
void drop_foreign(std::vector<TiffTag>& tags) {
  constexpr uint16_t kLast = 12;  // DOUBLE
  std::erase_if(tags, [](const TiffTag& tag) { return tag.directory.empty() && tag.type > kLast; });
  for (TiffTag& tag : tags) drop_foreign(tag.directory);
}

/// Gives a tag that is there another number.
void set_number(std::vector<TiffTag>& tags, uint16_t id, int number, ByteOrder order) {
  const auto tag =
      std::find_if(tags.begin(), tags.end(), [&](const TiffTag& other) { return other.id == id; });
  if (tag == tags.end()) return;
  *tag = {.id = id, .type = kLong, .count = 1};
  put_number(tag->value, uint64_t(number), 4, order);
}

}  // namespace

Exif read_exif(Bytes file) {
  if (text_of(file).starts_with(kPrefix)) file = file.subspan(kPrefix.size());
  const std::optional<TiffForm> form = tiff_form(file);
  if (!form) return {};
  Exif exif{.order = form->order};
  TiffTagsWanted limits{.wanted = is_description, .left_bytes = kMostExif};
  exif.tags = read_tiff_tags(file, *form, first_tiff_directory(file, *form), limits);
  limits.wanted = [](uint16_t) { return true; };
  const auto read = [&](uint64_t address) { return read_tiff_tags(file, *form, address, limits); };
  replace_addresses(exif.tags, form->order, {kExifDirectory, kGpsDirectory}, read);
  for (TiffTag& tag : exif.tags) {
    if (tag.id == kExifDirectory) {
      replace_addresses(tag.directory, form->order, {kInteroperability}, read);
    }
  }
  drop_foreign(exif.tags);
  exif.too_large = limits.too_large;
  return exif;
}

std::vector<std::byte> exif_block(const Exif& exif) {
  const bool is_big = exif.order == ByteOrder::big;
  const std::string_view header =
      is_big ? std::string_view("MM\0*\0\0\0\x08", 8) : std::string_view("II*\0\x08\0\0\0", 8);
  std::vector<std::byte> block;
  const auto put = [&](Bytes bytes) { std::ranges::copy(bytes, std::back_inserter(block)); };
  put(std::as_bytes(std::span(kPrefix)));
  put(std::as_bytes(std::span(header)));
  put(tiff_directory(exif.tags, {.order = exif.order}, header.size(), 0));
  return block;
}

std::vector<std::byte> first_directory_with(const Exif& exif, Bytes file, Size picture) {
  const TiffForm form = tiff_form(file).value();
  std::vector<TiffTag> added = exif.tags;
  reorder(added, exif.order, form.order);
  for (TiffTag& tag : added) {
    if (tag.id != kExifDirectory) continue;
    set_number(tag.directory, kPixelWidth, picture.width, form.order);
    set_number(tag.directory, kPixelHeight, picture.height, form.order);
  }
  std::vector<TiffTag> tags = read_tiff_entries(file, form);
  std::erase_if(tags, [&](const TiffTag& tag) {
    return std::ranges::count(added, tag.id, &TiffTag::id) > 0;
  });
  tags.insert(tags.end(), added.begin(), added.end());
  std::ranges::sort(tags, {}, &TiffTag::id);
  return tiff_directory(tags, form, file.size(), 0);
}

}  // namespace upres
