// SPDX-License-Identifier: Apache-2.0
#include "media/iptc.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace upres {
namespace {

// A block is this, and resources one after another:
//
//   8BIM | id, 2 bytes | name: its length, 1 byte, and text | size, 4 bytes | data
//
// Numbers are big-endian; names and data end on even bytes.
constexpr std::string_view kPhotoshop("Photoshop 3.0\0", 14);
constexpr std::string_view kResource = "8BIM";
constexpr size_t kIptcId = 0x0404;

constexpr auto kMarker = std::byte(0x1c);  // what every record starts with

size_t even(size_t size) {
  return size + size % 2;
}

/// Reads on in bytes; beyond their end there are zeros.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> take(size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  size_t number(size_t size) {
    size_t value = 0;
    for (const std::byte byte : take(size)) value = value << 8 | size_t(byte);
    return value;
  }
  bool take_text(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    if (bytes_.size() < bytes.size() || !std::ranges::equal(bytes_.first(bytes.size()), bytes)) {
      return false;
    }
    take(bytes.size());
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace

std::vector<std::byte> iptc_records(std::span<const std::byte> field) {
  if (!field.empty() && field[0] == kMarker) return {field.begin(), field.end()};
  Reader reader(field);
  reader.take_text(kPhotoshop);
  while (reader.take_text(kResource)) {
    const size_t id = reader.number(2);
    const size_t name = reader.number(1);
    reader.take(even(1 + name) - 1);
    const size_t size = reader.number(4);
    const auto data = reader.take(size);
    reader.take(size % 2);
    if (id == kIptcId && data.size() == size) return {data.begin(), data.end()};
  }
  return {};
}

std::vector<std::byte> photoshop_block(std::span<const std::byte> records) {
  std::vector<std::byte> block;
  const auto put = [&](std::span<const std::byte> bytes) {
    std::ranges::copy(bytes, std::back_inserter(block));
  };
  const auto put_number = [&](size_t value, size_t size) {
    for (size_t i = size; i-- > 0;) block.push_back(std::byte(value >> (8 * i) & 255));
  };
  put(std::as_bytes(std::span(kPhotoshop)));
  put(std::as_bytes(std::span(kResource)));
  put_number(kIptcId, 2);
  put_number(0, 2);  // no name
  put_number(records.size(), 4);
  put(records);
  block.resize(even(block.size()));
  return block;
}

}  // namespace upres
