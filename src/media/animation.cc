// SPDX-License-Identifier: Apache-2.0
#include "media/animation.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "base/file.h"
#include "media/file_bytes.h"

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

// GIF: a header, and blocks that begin with what they are.
constexpr uint64_t kGifHeader = 13;
constexpr uint64_t kGifExtension = 0x21;
constexpr uint64_t kGifImage = 0x2c;

uint64_t byte_at(Bytes file, uint64_t at) {
  return number_at(file, at, 1, ByteOrder::little);
}

/// Bytes of the table of colours that a byte of flags tells of.
uint64_t gif_table_bytes(uint64_t flags) {
  return (flags & 0x80) == 0 ? 0 : uint64_t(3) << ((flags & 7) + 1);
}

/// Where the blocks of data end that begin at `at`: each with its length, the last one of 0.
uint64_t behind_gif_data(Bytes file, uint64_t at) {
  for (uint64_t length = 1; length > 0 && at < file.size(); at += 1 + length) {
    length = byte_at(file, at);
  }
  return at;
}

/// Netscape's extension and its twin, whose block of data is the number 1 and the repetitions.
bool is_gif_loop(std::string_view block) {
  using namespace std::string_view_literals;
  return block.starts_with("\x21\xff\x0bNETSCAPE2.0\x03\x01"sv) || block.starts_with(
                                                                       "\x21\xff\x0b"
                                                                       "ANIMEXTS1.0\x03\x01"sv);
}

}  // namespace

std::optional<int> plays_of_gif(Bytes file) {
  if (!text_of(file).starts_with("GIF8")) return std::nullopt;
  uint64_t at = kGifHeader + gif_table_bytes(byte_at(file, 10));
  while (at < file.size()) {
    if (is_gif_loop(text_of(file.subspan(at)))) {
      const uint64_t repeated = number_at(file, at + 16, 2, ByteOrder::little);
      return repeated == 0 ? 0 : int(std::min<uint64_t>(repeated + 1, kMostPlays));
    }
    const uint64_t kind = byte_at(file, at);
    if (kind == kGifExtension) {
      at = behind_gif_data(file, at + 2);
    } else if (kind == kGifImage) {
      at = behind_gif_data(file, at + 11 + gif_table_bytes(byte_at(file, at + 9)));
    } else {
      break;
    }
  }
  return 1;
}

std::optional<int> plays_of_apng(Bytes file) {
  if (!text_of(file).starts_with(kPngSignature)) return std::nullopt;
  std::optional<int> plays;
  for_each_png_chunk(file, [&](const PngChunk& chunk) {
    if (chunk.name == "IDAT") return false;
    if (chunk.name != "acTL" || !chunk.whole || chunk.length < 8) return true;
    const uint64_t number = number_at(std::as_bytes(std::span(chunk.data)), 4, 4, ByteOrder::big);
    plays = int(std::min<uint64_t>(number, kMostPlays));
    return false;
  });
  return plays;
}

std::optional<int> plays_of(const std::string& path, const std::string& container) {
  if (container != "gif" && container != "apng") return std::nullopt;
  try {
    const MappedFile file = MappedFile::open(path, ErrorCode::input);
    return container == "gif" ? plays_of_gif(file.bytes()) : plays_of_apng(file.bytes());
  } catch (const Error&) {
    return std::nullopt;  // a pipe
  }
}

}  // namespace upres
