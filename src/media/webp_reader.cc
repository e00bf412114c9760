// SPDX-License-Identifier: Apache-2.0
#include "media/webp_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "base/error.h"
#include "media/file_bytes.h"
#include "media/vips.h"

namespace upres {
namespace {

using Bytes = std::span<const std::byte>;

using Samples = VipsMemory<uint8_t>;

void put_text(std::vector<std::byte>& bytes, std::string_view text) {
  for (const char c : text) bytes.push_back(std::byte(c));
}

/// A frame's chunks as a file of one picture.
std::vector<std::byte> still_of(Bytes chunks, const WebpFrame& frame) {
  constexpr uint64_t kAlpha = 16;
  const bool has_alpha_chunk = text_of(chunks).starts_with("ALPH");  // beside a lossy picture
  std::vector<std::byte> still;
  put_text(still, "RIFF");
  put_number(still, 4 + (has_alpha_chunk ? 18 : 0) + chunks.size(), 4, ByteOrder::little);
  put_text(still, "WEBP");
  if (has_alpha_chunk) {
    put_text(still, "VP8X");
    put_number(still, 10, 4, ByteOrder::little);
    put_number(still, kAlpha, 4, ByteOrder::little);
    put_number(still, uint64_t(frame.size.width - 1), 3, ByteOrder::little);
    put_number(still, uint64_t(frame.size.height - 1), 3, ByteOrder::little);
  }
  still.insert(still.end(), chunks.begin(), chunks.end());
  return still;
}

/// Decodes one; null, with a reason, where that does not work out.
Samples decoded(const std::vector<std::byte>& still, Size size, int& bands, std::string& reason) {
  forget_vips_errors();
  VipsImage* loaded = nullptr;
  // libvips does not change what it is given.
  auto* bytes = const_cast<std::byte*>(still.data());
  if (vips_webpload_buffer(bytes, still.size(), &loaded, nullptr) != 0) {
    reason = vips_reason();
    return nullptr;
  }
  const VipsHandle<VipsImage> image(loaded);
  bands = image->Bands;
  if (image->Xsize != size.width || image->Ysize != size.height ||
      image->BandFmt != VIPS_FORMAT_UCHAR || (bands != 3 && bands != 4)) {
    reason = "a frame has another size than it says";
    return nullptr;
  }
  size_t count = 0;
  Samples samples(static_cast<uint8_t*>(vips_image_write_to_memory(image.get(), &count)));
  if (!samples) reason = vips_reason();
  return samples;
}

/// A pixel over another, not premultiplied; rounded as libwebp does it.
void blend(const uint8_t* over, uint8_t* pixel) {
  const uint32_t alpha = over[3];
  if (alpha == 0) return;
  const uint32_t below = pixel[3] * (256 - alpha) >> 8;
  const uint32_t sum = alpha + below;
  const uint32_t scale = (1U << 24) / sum;
  for (int c = 0; c < 3; ++c) {
    pixel[c] = uint8_t((over[c] * alpha + pixel[c] * below) * scale >> 24);
  }
  pixel[3] = uint8_t(sum);
}

}  // namespace

WebpReader::WebpReader(MappedFile file, WebpAnimation animation)
    : file_(std::move(file)),
      animation_(std::move(animation)),
      canvas_(size_t(animation_.size.width) * size_t(animation_.size.height) * 4) {}

std::unique_ptr<WebpReader> WebpReader::open(const std::string& path, int64_t max_pixels) {
  std::optional<MappedFile> file;
  std::optional<WebpAnimation> found;
  try {
    file = MappedFile::open(path, ErrorCode::input);
    found = find_webp_frames(file->bytes());
  } catch (const Error&) {  // a pipe, or nothing: libav says why
  }
  if (!found) return nullptr;
  if (int64_t(found->size.width) * found->size.height > max_pixels) {
    fail(ErrorCode::input, "{} claims {}x{} pixels, more than --max-pixels allows", path,
         found->size.width, found->size.height);
  }
  if (found->frames.empty()) {
    fail(ErrorCode::input, "there is not one frame in {} that can be decoded: it has no whole one",
         path);
  }
  start_vips();
  return std::unique_ptr<WebpReader>(new WebpReader(std::move(*file), std::move(*found)));
}

/// Lays a frame on the canvas; false where it is damaged, and the canvas as it was.
bool WebpReader::draw(const WebpFrame& frame) {
  const Size canvas = animation_.size;
  if (frame.x > canvas.width - frame.size.width || frame.y > canvas.height - frame.size.height) {
    reason_ = "a frame is larger than the picture";
    return false;
  }
  const Bytes chunks = file_.bytes().subspan(size_t(frame.data), size_t(frame.length));
  int bands = 0;
  const Samples samples = decoded(still_of(chunks, frame), frame.size, bands, reason_);
  if (!samples) return false;
  const auto row_at = [&](const WebpFrame& of, int y) {
    return canvas_.data() + (size_t(of.y + y) * size_t(canvas.width) + size_t(of.x)) * 4;
  };
  if (drawn_ && drawn_->is_cleared) {
    for (int y = 0; y < drawn_->size.height; ++y) {
      std::fill_n(row_at(*drawn_, y), size_t(drawn_->size.width) * 4, uint8_t(0));
    }
  }
  const uint8_t* from = samples.get();
  for (int y = 0; y < frame.size.height; ++y) {
    uint8_t* to = row_at(frame, y);
    for (int x = 0; x < frame.size.width; ++x, from += bands, to += 4) {
      if (bands == 3 || from[3] == 255 || !frame.blends) {
        std::memcpy(to, from, size_t(bands));
        if (bands == 3) to[3] = 255;
      } else {
        blend(from, to);
      }
    }
  }
  drawn_ = &frame;
  return true;
}

bool WebpReader::read(uint8_t* rows, int64_t row_bytes) {
  for (;;) {
    if (next_ == animation_.frames.size()) return false;
    if (draw(animation_.frames[next_++])) break;
    ++damaged_;
  }
  const uint8_t* from = canvas_.data();
  for (int y = 0; y < animation_.size.height; ++y) {
    uint8_t* to = rows + y * row_bytes;
    if (animation_.has_alpha) {
      std::memcpy(to, from, size_t(animation_.size.width) * 4);
      from += size_t(animation_.size.width) * 4;
      continue;
    }
    for (int x = 0; x < animation_.size.width; ++x, from += 4, to += 3) std::memcpy(to, from, 3);
  }
  return true;
}

}  // namespace upres
