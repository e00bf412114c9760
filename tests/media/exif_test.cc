// SPDX-License-Identifier: Apache-2.0
#include "media/exif.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace upres {
namespace {

using Bytes = std::vector<std::byte>;
using namespace std::string_view_literals;

constexpr uint16_t kByte = 1, kText = 2, kShort = 3, kLong = 4, kRational = 5, kLong8 = 16;
constexpr uint16_t kImageWidth = 0x100, kArtist = 0x13b, kExif = 0x8769, kGps = 0x8825;
constexpr uint16_t kIso = 0x8827, kNote = 0x927c, kWidth = 0xa002, kHeight = 0xa003,
                   kInter = 0xa005;

constexpr TiffForm kForms[] = {{ByteOrder::little, false},
                               {ByteOrder::big, false},
                               {ByteOrder::little, true},
                               {ByteOrder::big, true}};

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

TiffTag text(uint16_t id, std::string_view value) {
  return {.id = id, .type = kText, .count = value.size(), .value = bytes_of(value)};
}

TiffTag numbers(uint16_t id, uint16_t type, int size, std::vector<uint64_t> values,
                ByteOrder order) {
  const size_t parts = type == kRational ? 2 : 1;
  TiffTag tag{.id = id, .type = type, .count = values.size() / parts};
  for (const uint64_t value : values) put_number(tag.value, value, size, order);
  return tag;
}

TiffTag directory(uint16_t id, std::vector<TiffTag> tags) {
  return {.id = id, .type = kLong, .count = 1, .directory = std::move(tags)};
}

/// A file of one directory.
Bytes tiff(TiffForm form, const std::vector<TiffTag>& tags) {
  Bytes file = bytes_of(form.order == ByteOrder::big ? "MM" : "II");
  put_number(file, form.big ? 43 : 42, 2, form.order);
  if (form.big) put_number(file, 8, 2, form.order);
  if (form.big) put_number(file, 0, 2, form.order);
  const int address = form.address_bytes();
  put_number(file, file.size() + size_t(address), address, form.order);
  const Bytes first = tiff_directory(tags, form, file.size(), 0);
  file.insert(file.end(), first.begin(), first.end());
  return file;
}

/// What a camera might say.
std::vector<TiffTag> all_tags(ByteOrder order) {
  return {numbers(kImageWidth, kShort, 2, {640}, order), text(kArtist, "somebody\0"sv),
          directory(kExif, {numbers(kIso, kShort, 2, {400}, order), text(kNote, "a note\0"sv),
                            numbers(kWidth, kShort, 2, {640}, order),
                            directory(kInter, {text(1, "R98\0"sv)})}),
          directory(kGps, {numbers(2, kRational, 4, {51, 1, 30, 1, 0, 1}, order)})};
}

const TiffTag* find(const std::vector<TiffTag>& tags, uint16_t id) {
  const auto found = std::ranges::find(tags, id, &TiffTag::id);
  return found == tags.end() ? nullptr : &*found;
}

const std::vector<TiffTag>& within(const std::vector<TiffTag>& tags, uint16_t id) {
  static const std::vector<TiffTag> kNone;
  const TiffTag* const tag = find(tags, id);
  return tag ? tag->directory : kNone;
}

/// The number, or numbers one after another, that a tag holds; -1 where it is not there.
int64_t number(const std::vector<TiffTag>& tags, uint16_t id, ByteOrder order, int index = 0) {
  const TiffTag* const tag = find(tags, id);
  if (!tag) return -1;
  const int size = tag->type == kShort ? 2 : 4;
  return int64_t(number_at(tag->value, uint64_t(index * size), size, order));
}

void expect_all(const Exif& exif) {
  EXPECT_FALSE(exif.too_large);
  ASSERT_TRUE(find(exif.tags, kArtist));
  EXPECT_EQ(text_of(find(exif.tags, kArtist)->value), "somebody\0"sv);
  EXPECT_FALSE(find(exif.tags, kImageWidth));  // tells of the samples
  const auto& camera = within(exif.tags, kExif);
  EXPECT_EQ(number(camera, kIso, exif.order), 400);
  ASSERT_TRUE(find(camera, kNote));
  EXPECT_EQ(text_of(find(camera, kNote)->value), "a note\0"sv);
  ASSERT_TRUE(find(within(camera, kInter), 1));
  EXPECT_EQ(number(within(exif.tags, kGps), 2, exif.order, 2), 30);
}

TEST(ReadExif, FindsAllDirectoriesInEveryForm) {
  for (const TiffForm form : kForms) {
    const Exif exif = read_exif(tiff(form, all_tags(form.order)));
    EXPECT_EQ(exif.order, form.order);
    expect_all(exif);
  }
}

TEST(ReadExif, ReadsTheBlocksThatOtherFilesHold) {
  for (const TiffForm form : kForms) {
    const Bytes block = exif_block(read_exif(tiff(form, all_tags(form.order))));
    EXPECT_TRUE(text_of(block).starts_with("Exif\0\0"sv));
    expect_all(read_exif(block));
    expect_all(read_exif(std::span(block).subspan(6)));
  }
}

TEST(ReadExif, TakesWhatIsThereOfATruncatedFile) {
  for (const TiffForm form : kForms) {
    const Bytes whole = tiff(form, all_tags(form.order));
    for (size_t size = 0; size < whole.size(); ++size) {
      const Bytes part(whole.begin(), whole.begin() + ptrdiff_t(size));
      const Exif exif = read_exif(part);
      EXPECT_LE(exif.tags.size(), 3u);
      read_exif(exif_block(exif));
    }
  }
}

TEST(ReadExif, DoesNotGoInCircles) {
  for (const TiffForm form : kForms) {
    const uint64_t first = form.big ? 16 : 8;
    const auto address = [&](uint16_t id) { return numbers(id, kLong, 4, {first}, form.order); };
    const Bytes file =
        tiff(form, {text(kArtist, "me\0"sv), address(kExif), address(kGps), address(kInter)});
    const Exif exif = read_exif(file);
    EXPECT_EQ(within(exif.tags, kExif).size(), 4u);
    EXPECT_EQ(within(within(exif.tags, kExif), kInter).size(), 4u);
    EXPECT_TRUE(find(within(within(exif.tags, kExif), kInter), kInter)->directory.empty());
  }
}

TEST(ReadExif, LeavesOutWhatLiesBeyondTheFile) {
  for (const TiffForm form : kForms) {
    for (const uint64_t beyond : {uint64_t(1000), uint64_t(0xffffffff), ~uint64_t(0)}) {
      const int size = form.address_bytes();
      const auto address = [&](uint16_t id, uint16_t type, uint64_t count) {
        TiffTag tag = numbers(id, type, size, {beyond}, form.order);
        tag.count = count;
        return tag;
      };
      // The entry of a value that does not fit into it holds its address.
      std::vector<TiffTag> tags = {address(kArtist, kText, beyond), text(0x8298, "ours\0"sv),
                                   address(kExif, form.big ? kLong8 : kLong, 1)};
      EXPECT_EQ(read_exif(tiff(form, tags)).tags.size(), 1u);
      tags[0].count = 9;
      EXPECT_EQ(read_exif(tiff(form, tags)).tags.size(), 1u);
    }
  }
  EXPECT_TRUE(read_exif(bytes_of("II*\0\xff\xff\xff\xff"sv)).tags.empty());
  EXPECT_TRUE(
      read_exif(bytes_of("II+\0\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"sv)).tags.empty());
}

TEST(ReadExif, DropsTypesThatExifDoesNotHave) {
  const TiffForm form{ByteOrder::little, true};
  const Bytes file = tiff(form, {directory(kExif, {numbers(1, kLong8, 8, {7}, form.order),
                                                   numbers(2, 99, 4, {7}, form.order),
                                                   numbers(kIso, kShort, 2, {400}, form.order)})});
  EXPECT_EQ(within(read_exif(file).tags, kExif).size(), 1u);
}

TEST(ReadExif, SaysWhereThereIsTooMuch) {
  const TiffForm form{ByteOrder::little, false};
  const auto note = [&](size_t size) {
    return read_exif(tiff(form, {directory(kExif, {text(kNote, std::string(size, 'x'))})}));
  };
  EXPECT_FALSE(note(kMostExif - 100).too_large);
  EXPECT_TRUE(note(kMostExif).too_large);
  // Many entries that share one value are as large.
  std::vector<TiffTag> tags;
  for (int i = 0; i < 3000; ++i) {
    TiffTag tag = numbers(uint16_t(1 + i), kByte, 4, {8}, form.order);
    tag.count = 1000;
    tags.push_back(tag);
  }
  EXPECT_TRUE(read_exif(tiff(form, {directory(kExif, tags)})).too_large);
}

TEST(FirstDirectoryWith, AddsExifInTheFilesOwnForm) {
  for (const TiffForm from : kForms) {
    for (const TiffForm form : kForms) {
      const Exif exif = read_exif(tiff(from, all_tags(from.order)));
      const Bytes strips = bytes_of("here, or their address\0\0"sv);
      const std::vector<TiffTag> had = {
          numbers(kImageWidth, kShort, 2, {2560}, form.order),
          {.id = 0x111, .type = kByte, .count = strips.size(), .value = strips},
          text(0x131, "a library\0"sv)};
      Bytes file = tiff(form, had);
      const uint64_t end = file.size();
      const Bytes first = first_directory_with(exif, file, {2560, 70000});
      file.insert(file.end(), first.begin(), first.end());
      Bytes address;
      put_number(address, end, form.address_bytes(), form.order);
      std::ranges::copy(address, file.begin() + ptrdiff_t(first_tiff_directory_at(form)));
      const Exif found = read_exif(file);
      expect_all(found);
      EXPECT_EQ(found.order, form.order);
      const auto& camera = within(found.tags, kExif);
      EXPECT_EQ(number(camera, kWidth, form.order), 2560);
      EXPECT_FALSE(find(camera, kHeight));  // it was not there
      TiffTagsWanted all{.wanted = [](uint16_t) { return true; }, .left_bytes = 1000};
      const auto tags = read_tiff_tags(file, form, end, all);
      EXPECT_EQ(number(tags, kImageWidth, form.order), 2560);
      ASSERT_TRUE(find(tags, 0x111));
      EXPECT_EQ(find(tags, 0x111)->value, strips);
      EXPECT_TRUE(std::ranges::is_sorted(tags, {}, &TiffTag::id));
    }
  }
}

}  // namespace
}  // namespace upres
