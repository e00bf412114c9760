// SPDX-License-Identifier: Apache-2.0
#include "media/gif_pictures.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <unordered_map>
#include <utility>

#include "media/vips.h"

namespace upres {
namespace {

constexpr uint32_t kOpaque = 0xff000000U;
constexpr size_t kColours = 255;
constexpr uint8_t kNothing = 255;  // in all palettes: libav looks into the first one only

// Of libvips' quantiser, 1 to 10. On photographs its own 7 gains 0.3 dB more, in three times the
// time.
constexpr int kEffort = 4;

using Palette = std::array<uint32_t, 256>;
using Places = std::unordered_map<uint32_t, uint8_t>;  // of colours in a palette

struct VipsBytes {
  VipsMemory<void> data;
  size_t size = 0;
};

std::vector<uint32_t> colours_of(const AVFrame& words) {
  const bool has_alpha = words.format == AV_PIX_FMT_RGB32;
  std::vector<uint32_t> colours(size_t(words.width) * size_t(words.height));
  auto* to = colours.data();
  for (int y = 0; y < words.height; ++y) {
    const uint8_t* row = words.data[0] + ptrdiff_t(y) * words.linesize[0];
    std::memcpy(to, row, size_t(words.width) * 4);
    for (int x = 0; x < words.width; ++x, ++to) {
      *to = has_alpha && (*to >> 24) < 128 ? 0 : *to | kOpaque;
    }
  }
  return colours;
}

/// A palette of the colours that there are, and their places; false where they are too many.
bool keep_colours(std::span<const uint32_t> colours, Palette& palette, Places& places) {
  uint32_t last = 0;
  for (const uint32_t colour : colours) {
    if (colour == last || colour == 0) continue;
    last = colour;
    const auto [found, is_new] = places.try_emplace(colour, uint8_t(places.size()));
    if (places.size() > kColours) return false;
    if (is_new) palette[found->second] = colour;
  }
  return true;
}

/// The picture as a PNG with a palette: how libvips gives what its quantiser makes. A further row
/// of nothing below it keeps a place for that.
VipsBytes reduced(std::span<const uint32_t> colours, Size size) {
  start_vips();
  forget_vips_errors();
  std::vector<uint8_t> samples;
  samples.reserve((colours.size() + size_t(size.width)) * 4);
  for (const uint32_t colour : colours) {
    for (const int shift : {16, 8, 0, 24}) samples.push_back(uint8_t(colour >> shift & 255));
  }
  samples.resize(samples.size() + size_t(size.width) * 4);
  const VipsHandle<VipsImage> image(vips_image_new_from_memory(
      samples.data(), samples.size(), size.width, size.height + 1, 4, VIPS_FORMAT_UCHAR));
  if (!image) throw std::bad_alloc();
  image->Type = VIPS_INTERPRETATION_sRGB;
  void* bytes = nullptr;
  size_t count = 0;
  if (vips_pngsave_buffer(image.get(), &bytes, &count, "palette", TRUE, "bitdepth", 8, "dither",
                          1.0, "effort", kEffort, "compression", 1, nullptr) != 0) {
    fail(ErrorCode::output, "cannot reduce a picture's colours: {}", vips_reason());
  }
  return {VipsMemory<void>(bytes), count};
}

/// Decodes it, as places and palette.
Av<AVFrame> decoded(const VipsBytes& png) {
  const AVCodec* codec = require(avcodec_find_decoder(AV_CODEC_ID_PNG));
  const Av<AVCodecContext> decoder(require(avcodec_alloc_context3(codec)));
  decoder->thread_count = 1;
  Av<AVPacket> packet = new_av_packet();
  if (av_new_packet(packet.get(), int(png.size)) < 0) throw std::bad_alloc();
  std::memcpy(packet->data, png.data.get(), png.size);
  Av<AVFrame> frame = new_av_frame();
  if (avcodec_open2(decoder.get(), codec, nullptr) < 0 ||
      avcodec_send_packet(decoder.get(), packet.get()) < 0 ||
      avcodec_receive_frame(decoder.get(), frame.get()) < 0) {
    fail(ErrorCode::output, "cannot reduce a picture's colours: libav does not take libvips' PNG");
  }
  if (frame->format != AV_PIX_FMT_PAL8) {
    fail(ErrorCode::output,
         "the libvips at hand has no quantiser, which GIF needs; write .webp or .apng");
  }
  return frame;
}

void draw_kept(std::span<const uint32_t> colours, const Places& places, AVFrame& made) {
  uint32_t last = 0;
  uint8_t place = kNothing;
  const auto* from = colours.data();
  for (int y = 0; y < made.height; ++y) {
    uint8_t* to = made.data[0] + ptrdiff_t(y) * made.linesize[0];
    for (int x = 0; x < made.width; ++x, ++from) {
      if (*from != last) {
        last = *from;
        place = last == 0 ? kNothing : places.at(last);
      }
      to[x] = place;
    }
  }
}

/// Each colour gets one place: libav mistakes others of the same colour for the first.
void draw_reduced(std::span<const uint32_t> colours, Palette& palette, AVFrame& made) {
  const Av<AVFrame> frame = decoded(reduced(colours, {made.width, made.height}));
  Palette came;
  std::memcpy(came.data(), frame->data[1], sizeof(came));
  Places known;
  std::array<uint8_t, 256> places;
  places.fill(kNothing);
  for (int y = 0; y < made.height; ++y) {
    const uint8_t* from = frame->data[0] + ptrdiff_t(y) * frame->linesize[0];
    uint8_t* to = made.data[0] + ptrdiff_t(y) * made.linesize[0];
    for (int x = 0; x < made.width; ++x) {
      uint8_t& place = places[from[x]];
      if (place == kNothing && (came[from[x]] >> 24) >= 128) {
        const uint32_t colour = came[from[x]] | kOpaque;
        place = known.try_emplace(colour, uint8_t(known.size())).first->second;
        palette[place] = colour;
      }
      to[x] = place;
    }
  }
}

/// A frame of those colours, each kept where they are few enough.
void draw_colours(std::span<const uint32_t> colours, AVFrame& made) {
  Palette palette;
  palette.fill(kOpaque);
  Places places;
  if (keep_colours(colours, palette, places)) {
    draw_kept(colours, places, made);
  } else {
    palette.fill(kOpaque);
    draw_reduced(colours, palette, made);
  }
  palette[kNothing] = 0;
  std::memcpy(made.data[1], palette.data(), sizeof(palette));
}

}  // namespace

std::optional<GifPicture> GifPictures::put(const AVFrame& words) {
  Colours next = colours_of(words);
  std::optional<GifPicture> picture;
  if (held_frame_) picture = draw(&next);
  held_ = std::move(next);
  held_frame_ = new_av_frame();
  held_frame_->format = AV_PIX_FMT_PAL8;
  held_frame_->width = words.width;
  held_frame_->height = words.height;
  if (av_frame_get_buffer(held_frame_.get(), 0) < 0 ||
      av_frame_copy_props(held_frame_.get(), &words) < 0) {
    throw std::bad_alloc();
  }
  return picture;
}

std::optional<GifPicture> GifPictures::finish() {
  if (!held_frame_) return std::nullopt;
  return draw(nullptr);
}

/// The held frame's picture. Where the next one has a hole in what it shows it is taken away, and
/// for that drawn whole.
GifPicture GifPictures::draw(const Colours* next) {
  GifPicture picture{.frame = std::move(held_frame_), .taken_away = false};
  for (size_t i = 0; next && i < held_.size() && !picture.taken_away; ++i) {
    picture.taken_away = (*next)[i] == 0 && held_[i] != 0;
  }
  if (picture.taken_away || shown_.empty()) {
    draw_colours(held_, *picture.frame);
  } else {
    const auto changed = [](uint32_t was, uint32_t is) { return was == is ? 0 : is; };
    std::ranges::transform(shown_, held_, shown_.begin(), changed);
    draw_colours(shown_, *picture.frame);
  }
  shown_ = picture.taken_away ? Colours{} : std::move(held_);
  return picture;
}

}  // namespace upres
