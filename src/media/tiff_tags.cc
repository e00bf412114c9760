// SPDX-License-Identifier: Apache-2.0
#include "media/tiff_tags.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint64_t kMostEntries = 65535;  // of a directory: TIFF's, which BigTIFF would pass

/// Bytes of what is turned around as one when the byte order changes: a rational is two numbers.
int number_bytes(uint16_t type) {
  const int element = tiff_element_bytes(type);
  const bool is_rational = type == 5 || type == 10;
  return is_rational ? element / 2 : element;
}

void append(std::vector<std::byte>& to, Bytes bytes) {
  std::ranges::copy(bytes, std::back_inserter(to));
}

/// visit(tag, at) for the entries of the directory at `offset` that the file has, without values;
/// the field that holds or refers to its value is at `at`. Until it returns false.
template <typename Visit>
void for_each_entry(Bytes file, TiffForm form, uint64_t offset, Visit&& visit) {
  if (offset >= file.size()) return;
  const uint64_t count =
      std::min(number_at(file, offset, form.count_bytes(), form.order), kMostEntries);
  uint64_t at = offset + uint64_t(form.count_bytes());
  for (uint64_t i = 0; i < count && at < file.size(); ++i, at += uint64_t(form.tag_bytes())) {
    TiffTag tag{.id = uint16_t(number_at(file, at, 2, form.order)),
                .type = uint16_t(number_at(file, at + 2, 2, form.order)),
                .count = number_at(file, at + 4, form.address_bytes(), form.order)};
    if (!visit(std::move(tag), at + 4 + uint64_t(form.address_bytes()))) return;
  }
}

}  // namespace

std::optional<TiffForm> tiff_form(Bytes file) {
  const std::string_view start = text_of(file).substr(0, 4);
  if (start == std::string_view("II*\0", 4)) return TiffForm{ByteOrder::little, false};
  if (start == std::string_view("MM\0*", 4)) return TiffForm{ByteOrder::big, false};
  if (start == std::string_view("II+\0", 4)) return TiffForm{ByteOrder::little, true};
  if (start == std::string_view("MM\0+", 4)) return TiffForm{ByteOrder::big, true};
  return std::nullopt;
}

int tiff_element_bytes(uint16_t type) {
  constexpr int kBytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8};
  return type < std::size(kBytes) ? kBytes[type] : 0;
}

std::vector<TiffTag> read_tiff_tags(Bytes file, TiffForm form, uint64_t offset,
                                    TiffTagsWanted& limits) {
  std::vector<TiffTag> tags;
  for_each_entry(file, form, offset, [&](TiffTag tag, uint64_t field) {
    const uint64_t element = uint64_t(tiff_element_bytes(tag.type));
    if (!limits.wanted(tag.id) || element == 0 || tag.count == 0) return true;
    if (tag.count > file.size() / element) return true;
    const uint64_t size = tag.count * element;
    const bool is_inside = size <= uint64_t(form.address_bytes());
    const uint64_t from =
        is_inside ? field : number_at(file, field, form.address_bytes(), form.order);
    if (from > file.size() || size > file.size() - from) return true;
    const uint64_t taken = size + uint64_t(form.tag_bytes());
    limits.too_large |= taken > limits.left_bytes;
    if (limits.too_large) return false;
    limits.left_bytes -= taken;
    const Bytes value = file.subspan(from, size);
    tag.value.assign(value.begin(), value.end());
    tags.push_back(std::move(tag));
    return true;
  });
  std::ranges::stable_sort(tags, {}, &TiffTag::id);
  const auto repeated = std::ranges::unique(tags, {}, &TiffTag::id);
  tags.erase(repeated.begin(), repeated.end());
  return tags;
}

std::vector<TiffTag> read_tiff_entries(Bytes file, TiffForm form) {
  std::vector<TiffTag> tags;
  for_each_entry(file, form, first_tiff_directory(file, form), [&](TiffTag tag, uint64_t at) {
    const size_t size = size_t(form.address_bytes());
    const Bytes field = file.subspan(at, std::min<size_t>(size, file.size() - at));
    tag.value.assign(field.begin(), field.end());
    tags.push_back(std::move(tag));
    return true;
  });
  return tags;
}

void reorder(std::vector<TiffTag>& tags, ByteOrder from, ByteOrder to) {
  if (from == to) return;
  for (TiffTag& tag : tags) {
    reorder(tag.directory, from, to);
    const int size = std::max(1, number_bytes(tag.type));
    for (auto at = tag.value.begin(); tag.value.end() - at >= size; at += size) {
      std::reverse(at, at + size);
    }
  }
}

std::vector<std::byte> tiff_directory(std::span<const TiffTag> tags, TiffForm form, uint64_t offset,
                                      uint64_t next) {
  constexpr uint16_t kLong = 4, kIfd8 = 18;
  const uint64_t behind_table = offset + uint64_t(form.count_bytes()) +
                                tags.size() * uint64_t(form.tag_bytes()) +
                                uint64_t(form.address_bytes());
  std::vector<std::byte> table, behind;
  const auto put = [&](uint64_t number, int size) { put_number(table, number, size, form.order); };
  put(tags.size(), form.count_bytes());
  for (const TiffTag& tag : tags) {
    const bool is_directory = !tag.directory.empty();
    put(tag.id, 2);
    put(is_directory ? (form.big ? kIfd8 : kLong) : tag.type, 2);
    put(is_directory ? 1 : tag.count, form.address_bytes());
    const uint64_t end = behind_table + behind.size();
    if (is_directory) {
      put(end, form.address_bytes());
      append(behind, tiff_directory(tag.directory, form, end, 0));
    } else if (tag.value.size() > size_t(form.address_bytes())) {
      put(end, form.address_bytes());
      append(behind, tag.value);
    } else {
      append(table, tag.value);
      table.resize(table.size() + size_t(form.address_bytes()) - tag.value.size());
    }
    behind.resize(behind.size() + behind.size() % 2);
  }
  put(next, form.address_bytes());
  append(table, behind);
  return table;
}

}  // namespace upres
