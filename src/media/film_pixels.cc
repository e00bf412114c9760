// SPDX-License-Identifier: Apache-2.0
#include "media/film_pixels.h"

#include <algorithm>
#include <limits>

namespace upres {
namespace {

using Kind = FilmFormat::Kind;

constexpr int kFirst709Lines = 720;  // untagged films with fewer lines are taken for BT.601

/// The matrices that are plain sums of R'G'B'.
std::optional<FilmMatrix> matrix_of(AVColorSpace space) {
  switch (space) {
    case AVCOL_SPC_BT709:
      return FilmMatrix::bt709;
    case AVCOL_SPC_FCC:
      return FilmMatrix::fcc;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return FilmMatrix::bt601;
    case AVCOL_SPC_SMPTE240M:
      return FilmMatrix::smpte240m;
    case AVCOL_SPC_BT2020_NCL:
      return FilmMatrix::bt2020;
    default:
      return std::nullopt;
  }
}

/// What a film of that size has where it does not say.
AVColorSpace usual_matrix(Size size, AVColorPrimaries primaries) {
  switch (primaries) {
    case AVCOL_PRI_BT709:
      return AVCOL_SPC_BT709;
    case AVCOL_PRI_BT470BG:
      return AVCOL_SPC_BT470BG;
    case AVCOL_PRI_SMPTE170M:
      return AVCOL_SPC_SMPTE170M;
    case AVCOL_PRI_BT2020:
      return AVCOL_SPC_BT2020_NCL;
    default:
      if (size.height >= kFirst709Lines) return AVCOL_SPC_BT709;
      return size.height == 576 || size.height == 288 ? AVCOL_SPC_BT470BG : AVCOL_SPC_SMPTE170M;
  }
}

AVColorPrimaries usual_primaries(AVColorSpace matrix) {
  switch (matrix) {
    case AVCOL_SPC_FCC:
      return AVCOL_PRI_BT470M;
    case AVCOL_SPC_BT470BG:
      return AVCOL_PRI_BT470BG;
    case AVCOL_SPC_SMPTE170M:
      return AVCOL_PRI_SMPTE170M;
    case AVCOL_SPC_SMPTE240M:
      return AVCOL_PRI_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
      return AVCOL_PRI_BT2020;
    default:
      return AVCOL_PRI_BT709;
  }
}

AVColorTransferCharacteristic usual_transfer(AVColorSpace matrix, int depth) {
  switch (matrix) {
    case AVCOL_SPC_RGB:
      return AVCOL_TRC_IEC61966_2_1;
    case AVCOL_SPC_FCC:
      return AVCOL_TRC_GAMMA22;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return AVCOL_TRC_SMPTE170M;
    case AVCOL_SPC_SMPTE240M:
      return AVCOL_TRC_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
      return depth > 10 ? AVCOL_TRC_BT2020_12 : AVCOL_TRC_BT2020_10;
    default:
      return AVCOL_TRC_BT709;
  }
}

/// Codecs that say that samples have the limited range where a stream does not tell. Of gray alone
/// it makes a difference: elsewhere untagged YUV is limited whatever the codec.
bool is_limited_by_default(AVCodecID codec) {
  constexpr AVCodecID kLimited[] = {
      AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG4, AV_CODEC_ID_H264,
      AV_CODEC_ID_HEVC,       AV_CODEC_ID_VP8,        AV_CODEC_ID_VP9,   AV_CODEC_ID_AV1};
  return std::ranges::count(kLimited, codec) > 0;
}

bool is_full_range(const AVFrame& frame, AVPixelFormat pixels, Kind kind, AVCodecID codec) {
  switch (pixels) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ411P:
      return true;
    default:
      break;
  }
  if (frame.color_range != AVCOL_RANGE_UNSPECIFIED) return frame.color_range == AVCOL_RANGE_JPEG;
  return kind == Kind::rgb || (kind == Kind::gray && !is_limited_by_default(codec));
}

void set_site(FilmFormat& format, AVChromaLocation location, AVCodecID codec) {
  if (location == AVCHROMA_LOC_UNSPECIFIED) {
    const bool centred = codec == AV_CODEC_ID_MPEG1VIDEO || codec == AV_CODEC_ID_MJPEG;
    location = centred ? AVCHROMA_LOC_CENTER : AVCHROMA_LOC_LEFT;
  }
  const bool left = location == AVCHROMA_LOC_LEFT || location == AVCHROMA_LOC_TOPLEFT ||
                    location == AVCHROMA_LOC_BOTTOMLEFT;
  const bool top = location == AVCHROMA_LOC_TOPLEFT || location == AVCHROMA_LOC_TOP;
  const bool bottom = location == AVCHROMA_LOC_BOTTOMLEFT || location == AVCHROMA_LOC_BOTTOM;
  format.site_x = left ? ChromaSite::first : ChromaSite::middle;
  format.site_y = top ? ChromaSite::first : bottom ? ChromaSite::last : ChromaSite::middle;
}

/// Fills in what is not said.
FilmColour whole(AVColorSpace matrix, AVColorPrimaries primaries,
                 AVColorTransferCharacteristic transfer, int depth) {
  if (primaries == AVCOL_PRI_UNSPECIFIED || primaries == AVCOL_PRI_RESERVED0 ||
      primaries == AVCOL_PRI_RESERVED) {
    primaries = usual_primaries(matrix);
  }
  if (transfer == AVCOL_TRC_UNSPECIFIED || transfer == AVCOL_TRC_RESERVED0 ||
      transfer == AVCOL_TRC_RESERVED) {
    transfer = usual_transfer(matrix, depth);
  }
  return {primaries, transfer, matrix};
}

}  // namespace

std::optional<FilmFormat> layout_of(AVPixelFormat format) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
  constexpr uint64_t kOther = AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM |
                              AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BAYER |
                              AV_PIX_FMT_FLAG_FLOAT;
  if (!desc || (desc->flags & kOther) != 0 || format == AV_PIX_FMT_XYZ12LE ||
      format == AV_PIX_FMT_XYZ12BE) {
    return std::nullopt;
  }
  const bool alpha = (desc->flags & AV_PIX_FMT_FLAG_ALPHA) != 0;
  const int colours = desc->nb_components - (alpha ? 1 : 0);
  const int depth = desc->comp[0].depth;
  for (int c = 0; c < desc->nb_components; ++c) {
    if (desc->comp[c].depth != depth) return std::nullopt;
  }
  if (depth < 8 || depth > 16 || (colours != 1 && colours != 3)) return std::nullopt;
  const bool rgb = (desc->flags & AV_PIX_FMT_FLAG_RGB) != 0;
  const Kind kind = colours == 1 ? Kind::gray : rgb ? Kind::rgb : Kind::yuv;
  if (desc->log2_chroma_w > 2 || desc->log2_chroma_h > 2) return std::nullopt;
  return FilmFormat{.size = {},
                    .kind = kind,
                    .depth = depth,
                    .alpha = alpha,
                    .chroma_log2_x = kind == Kind::yuv ? desc->log2_chroma_w : 0,
                    .chroma_log2_y = kind == Kind::yuv ? desc->log2_chroma_h : 0};
}

AVPixelFormat stored_pixels(const AVFrame& frame) {
  if (frame.format != AV_PIX_FMT_CUDA) return AVPixelFormat(frame.format);
  return reinterpret_cast<const AVHWFramesContext*>(frame.hw_frames_ctx->data)->sw_format;
}

FilmView view_of(const AVFrame& frame, const FilmFormat& format) {
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(stored_pixels(frame));
  FilmView view{format, {}};
  for (int c = 0; c < desc->nb_components; ++c) {
    const AVComponentDescriptor& component = desc->comp[c];
    view.planes[size_t(c)] = {
        .data = reinterpret_cast<std::byte*>(frame.data[component.plane]) + component.offset,
        .row_bytes = frame.linesize[component.plane],
        .step_bytes = component.step,
        .word_bytes = component.depth + component.shift > 8 ? 2 : 1,
        .shift = component.shift + component.depth - format.depth,
        .big_endian = (desc->flags & AV_PIX_FMT_FLAG_BE) != 0};
  }
  if (frame.format == AV_PIX_FMT_CUDA) view.memory = MemoryKind::device;
  return view;
}

Meaning meaning_of(const AVFrame& frame, AVPixelFormat pixels, AVCodecID codec) {
  const auto layout = layout_of(pixels);
  if (!layout) {
    const char* name = av_get_pix_fmt_name(pixels);
    fail(ErrorCode::input,
         "its pixels are {}, which upres does not convert; have ffmpeg make them "
         "yuv444p or gbrp first (-pix_fmt)",
         name ? name : "of an unknown kind");
  }
  Meaning meaning{*layout, {}, false};
  FilmFormat& format = meaning.format;
  format.size = {frame.width, frame.height};
  format.full_range = is_full_range(frame, pixels, format.kind, codec);
  set_site(format, frame.chroma_location, codec);
  AVColorSpace matrix = format.kind == Kind::rgb ? AVCOL_SPC_RGB : frame.colorspace;
  if (format.kind != Kind::rgb) {
    meaning.guessed =
        matrix == AVCOL_SPC_UNSPECIFIED || matrix == AVCOL_SPC_RESERVED || matrix == AVCOL_SPC_RGB;
    if (meaning.guessed) matrix = usual_matrix(format.size, frame.color_primaries);
    const auto known = matrix_of(matrix);
    if (!known) {
      const char* name = av_color_space_name(matrix);
      fail(
          ErrorCode::input,
          "its colours are stored as {}, which is no plain sum of red, green and blue; have ffmpeg "
          "convert it to bt709 or bt2020nc first",
          name ? name : "an unknown matrix");
    }
    format.matrix = *known;
  }
  meaning.colour = whole(matrix, frame.color_primaries, frame.color_trc, format.depth);
  return meaning;
}

Meaning meaning_of_result(const FilmFormat& layout, Size size, const FilmInfo& source) {
  Meaning meaning{layout, source.colour, false};
  FilmFormat& format = meaning.format;
  const FilmFormat& from = source.format;
  format.size = size;
  format.site_x = from.site_x;
  format.site_y = from.site_y;
  const bool was_rgb = from.kind == Kind::rgb;
  if (format.kind == Kind::rgb) {
    format.full_range = was_rgb ? from.full_range : true;
    meaning.colour.matrix = AVCOL_SPC_RGB;
    return meaning;
  }
  format.matrix = from.matrix;
  format.full_range = from.full_range;
  if (was_rgb) {
    const AVColorSpace matrix = usual_matrix(size, AVColorPrimaries(source.colour.primaries));
    format.matrix = matrix_of(matrix).value_or(FilmMatrix::bt709);
    format.full_range = format.kind == Kind::gray;
    meaning.colour.matrix = matrix;
  }
  if (from.kind == Kind::gray && format.kind == Kind::yuv) format.full_range = false;
  return meaning;
}

AVChromaLocation chroma_location(const FilmFormat& format) {
  if (format.kind != Kind::yuv || format.chroma_log2_x == 0) return AVCHROMA_LOC_UNSPECIFIED;
  const bool left = format.site_x == ChromaSite::first;
  switch (format.site_y) {
    case ChromaSite::first:
      return left ? AVCHROMA_LOC_TOPLEFT : AVCHROMA_LOC_TOP;
    case ChromaSite::middle:
      return left ? AVCHROMA_LOC_LEFT : AVCHROMA_LOC_CENTER;
    case ChromaSite::last:
      return left ? AVCHROMA_LOC_BOTTOMLEFT : AVCHROMA_LOC_BOTTOM;
  }
  return AVCHROMA_LOC_UNSPECIFIED;
}

Loss loss_of(const FilmFormat& source, const FilmFormat& layout) {
  Loss loss;
  loss.kind = source.kind != layout.kind && source.kind != Kind::gray;
  loss.alpha = source.alpha && !layout.alpha;
  loss.depth = layout.depth < source.depth;
  loss.chroma =
      source.kind != Kind::gray && layout.kind == Kind::yuv &&
      (layout.chroma_log2_x > source.chroma_log2_x || layout.chroma_log2_y > source.chroma_log2_y);
  const int wasted_chroma = layout.kind == Kind::yuv && source.kind == Kind::yuv
                                ? std::max(0, source.chroma_log2_x - layout.chroma_log2_x) +
                                      std::max(0, source.chroma_log2_y - layout.chroma_log2_y)
                                : 0;
  loss.cost = (layout.kind == Kind::gray && loss.kind ? 100000 : 0) + (loss.kind ? 10000 : 0) +
              std::max(0, source.depth - layout.depth) * 1000 + (loss.alpha ? 900 : 0) +
              (loss.chroma ? 800 : 0) + (source.kind != layout.kind ? 100 : 0) +
              std::max(0, layout.depth - source.depth) * 10 + wasted_chroma * 5 +
              (layout.alpha && !source.alpha ? 3 : 0);
  return loss;
}

AVPixelFormat best_format(const FilmFormat& source, std::span<const AVPixelFormat> formats) {
  AVPixelFormat best = AV_PIX_FMT_NONE;
  int least = std::numeric_limits<int>::max();
  for (const AVPixelFormat format : formats) {
    const auto layout = layout_of(format);
    if (!layout) continue;
    const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(format);
    // yuvj formats are the others with a range that frames tell of themselves; x2rgb10 and its kin
    // cross words.
    const bool odd = std::string_view(desc->name).starts_with("yuvj") ||
                     std::string_view(desc->name).starts_with("x2");
    const int cost = loss_of(source, *layout).cost + (odd ? 1 : 0) +
                     ((desc->flags & AV_PIX_FMT_FLAG_PLANAR) != 0 ? 0 : 1);
    if (cost < least) {
      least = cost;
      best = format;
    }
  }
  return best;
}

}  // namespace upres
