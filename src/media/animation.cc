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
constexpr uint64_t kGifControl = 0xf9;  // an extension: how a picture is shown
constexpr uint64_t kGifImage = 0x2c;

uint64_t byte_at(Bytes file, uint64_t at) {
  return number_at(file, at, 1, ByteOrder::little);
}

/// Bytes of the table of colours that a byte of flags tells of.
uint64_t gif_table_bytes(uint64_t flags) {
  return (flags & 0x80) == 0 ? 0 : uint64_t(3) << ((flags & 7) + 1);
}

/// Where the blocks of data end that begin at `at`: each with its length, the last one of 0. Beyond
/// the file's end where that is missing.
uint64_t behind_gif_data(Bytes file, uint64_t at) {
  while (at < file.size()) {
    const uint64_t length = byte_at(file, at);
    at += 1 + length;
    if (length == 0) return at;
  }
  return file.size() + 1;
}

/// Where the block at `at` ends; nothing where it is the last one, or none.
std::optional<uint64_t> behind_gif_block(Bytes file, uint64_t at) {
  const uint64_t kind = byte_at(file, at);
  if (kind == kGifExtension) return behind_gif_data(file, at + 2);
  if (kind != kGifImage) return std::nullopt;
  return behind_gif_data(file, at + 11 + gif_table_bytes(byte_at(file, at + 9)));
}

uint64_t first_gif_block(Bytes file) {
  return kGifHeader + gif_table_bytes(byte_at(file, 10));
}

/// Netscape's extension and its twin, whose block of data is the number 1 and the repetitions.
bool is_gif_loop(std::string_view block) {
  using namespace std::string_view_literals;
  return block.starts_with("\x21\xff\x0bNETSCAPE2.0\x03\x01"sv) || block.starts_with(
                                                                       "\x21\xff\x0b"
                                                                       "ANIMEXTS1.0\x03\x01"sv);
}

// WebP: chunks of a name, a length and data of an even number of bytes.
constexpr uint64_t kWebpHeader = 12;
constexpr uint64_t kChunkHeader = 8;
constexpr uint64_t kWebpFrameHeader = 16;
constexpr uint64_t kWebpDelayAt = 12;  // of a frame's data
constexpr int kMostWebpDelay = (1 << 24) - 1;

}  // namespace

std::optional<int> plays_of_gif(Bytes file) {
  if (!text_of(file).starts_with("GIF8")) return std::nullopt;
  for (uint64_t at = first_gif_block(file); at < file.size();) {
    if (is_gif_loop(text_of(file.subspan(size_t(at))))) {
      const uint64_t repeated = number_at(file, at + 16, 2, ByteOrder::little);
      return repeated == 0 ? 0 : int(std::min<uint64_t>(repeated + 1, kMostPlays));
    }
    const auto next = behind_gif_block(file, at);
    if (!next) break;
    at = *next;
  }
  return 1;
}

bool is_gif_cut_off(Bytes file) {
  for (uint64_t at = first_gif_block(file); at != file.size();) {
    if (at > file.size()) return true;
    const auto next = behind_gif_block(file, at);
    if (!next) return false;
    at = *next;
  }
  return false;  // only the mark of its end is missing
}

void set_gif_disposal(std::span<std::byte> packet, bool taken_away) {
  constexpr std::byte kOthers{0xe3};
  constexpr std::byte kLeft{1 << 2};
  constexpr std::byte kTakenAway{2 << 2};
  // Some viewers take a picture away to nothing only where it says which colour that is: of libav's
  // own, which the first picture's palette has, it does not always.
  constexpr std::byte kHasNothing{1};
  constexpr std::byte kNothing{255};
  uint64_t at = 0;
  if (text_of(packet).starts_with("GIF8")) at = first_gif_block(packet);
  while (at + 6 < packet.size() && byte_at(packet, at) == kGifExtension) {
    if (byte_at(packet, at + 1) == kGifControl) {
      std::byte& flags = packet[size_t(at + 3)];
      if ((flags & kHasNothing) == std::byte{0}) packet[size_t(at + 6)] = kNothing;
      flags = (flags & kOthers) | (taken_away ? kTakenAway : kLeft) | kHasNothing;
      return;
    }
    at = behind_gif_data(packet, at + 2);
  }
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

std::optional<WebpAnimation> find_webp_frames(Bytes file) {
  constexpr uint64_t kAnimated = 2;
  constexpr uint64_t kAlpha = 16;
  const std::string_view text = text_of(file);
  if (!text.starts_with("RIFF") || file.size() < kWebpHeader + kChunkHeader + 10 ||
      text.substr(8, 8) != "WEBPVP8X") {
    return std::nullopt;
  }
  const auto number = [&](uint64_t at, int bytes) {
    return number_at(file, at, bytes, ByteOrder::little);
  };
  const uint64_t flags = byte_at(file, 20);
  if ((flags & kAnimated) == 0) return std::nullopt;
  WebpAnimation found{.size = {int(number(24, 3)) + 1, int(number(27, 3)) + 1},
                      .has_alpha = (flags & kAlpha) != 0,
                      .frames = {}};
  const uint64_t claimed = kChunkHeader + number(4, 4);
  const uint64_t end = std::min<uint64_t>(claimed, file.size());
  found.cut_off = claimed > file.size();
  for (uint64_t at = kWebpHeader; at + kChunkHeader <= end;) {
    const uint64_t length = number(at + 4, 4);
    const uint64_t data = at + kChunkHeader;
    if (length > end - data) {
      found.cut_off = true;
      break;
    }
    const std::string_view name = text.substr(size_t(at), 4);
    if (name == "ANIM" && length >= 6) found.plays = int(number(data + 4, 2));
    if (name == "ANMF" && length >= kWebpFrameHeader) {
      const uint64_t how = byte_at(file, data + 15);
      found.frames.push_back({.x = int(number(data, 3)) * 2,
                              .y = int(number(data + 3, 3)) * 2,
                              .size = {int(number(data + 6, 3)) + 1, int(number(data + 9, 3)) + 1},
                              .delay_ms = int(number(data + 12, 3)),
                              .blends = (how & 2) == 0,
                              .is_cleared = (how & 1) != 0,
                              .data = data + kWebpFrameHeader,
                              .length = length - kWebpFrameHeader});
      // What no frame has filled is nothing.
      if (found.frames.back().size != found.size) found.has_alpha = true;
    }
    at = data + length + (length & 1);
  }
  return found;
}

void set_webp_length(std::span<std::byte> file, int64_t length_ms) {
  const auto found = find_webp_frames(file);
  if (!found || found->frames.empty()) return;
  int64_t left = length_ms;
  for (const WebpFrame& frame : std::span(found->frames).first(found->frames.size() - 1)) {
    left -= frame.delay_ms;
  }
  std::vector<std::byte> delay;
  put_number(delay, uint64_t(std::clamp<int64_t>(left, 1, kMostWebpDelay)), 3, ByteOrder::little);
  const uint64_t at = found->frames.back().data - kWebpFrameHeader + kWebpDelayAt;
  std::ranges::copy(delay, file.subspan(size_t(at)).begin());
}

AnimationWords words_of(const std::string& path, const std::string& container) {
  AnimationWords words;
  if (container != "gif" && container != "apng") return words;
  try {
    const MappedFile file = MappedFile::open(path, ErrorCode::input);
    const bool is_gif = container == "gif";
    words.plays = is_gif ? plays_of_gif(file.bytes()) : plays_of_apng(file.bytes());
    words.cut_off = is_gif && is_gif_cut_off(file.bytes());
  } catch (const Error&) {  // a pipe
  }
  return words;
}

}  // namespace upres
