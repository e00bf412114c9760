// SPDX-License-Identifier: Apache-2.0
// Numbers and parts of picture files that no library reads or writes. Included by media/ only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace upres {

inline std::string_view text_of(std::span<const std::byte> file) {
  return {reinterpret_cast<const char*>(file.data()), file.size()};
}

enum class ByteOrder { little, big };

/// A number of `size` bytes; 0 where the file ends before its last one.
inline uint64_t number_at(std::span<const std::byte> file, uint64_t offset, int size,
                          ByteOrder order) {
  if (offset > file.size() || file.size() - offset < uint64_t(size)) return 0;
  uint64_t number = 0;
  for (int i = 0; i < size; ++i) {
    const int shift = 8 * (order == ByteOrder::big ? size - 1 - i : i);
    number |= uint64_t(file[offset + uint64_t(i)]) << shift;
  }
  return number;
}

/// Appends a number in `size` bytes.
inline void put_number(std::vector<std::byte>& bytes, uint64_t number, int size, ByteOrder order) {
  for (int i = 0; i < size; ++i) {
    const int shift = 8 * (order == ByteOrder::big ? size - 1 - i : i);
    bytes.push_back(std::byte(number >> shift & 255));
  }
}

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";

struct PngChunk {
  std::string_view name;
  uint64_t length;        ///< of its data, as it claims
  std::string_view data;  ///< as much of it as the file has, and what follows
  bool whole;             ///< whether the file has all of it
};

/// visit(chunk) for the chunks of a PNG file in order, until it returns false or the file ends.
template <typename Visit>
void for_each_png_chunk(std::span<const std::byte> file, Visit&& visit) {
  constexpr uint64_t kAroundData = 12;  // a chunk's length, name and check
  for (uint64_t at = kPngSignature.size(); at + kAroundData <= file.size();) {
    const uint64_t length = number_at(file, at, 4, ByteOrder::big);
    const std::string_view chunk = text_of(file.subspan(at));
    const bool whole = length <= file.size() - at - kAroundData;
    if (!visit(PngChunk{chunk.substr(4, 4), length, chunk.substr(8), whole})) return;
    at += kAroundData + length;
  }
}

}  // namespace upres
