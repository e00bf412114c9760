// SPDX-License-Identifier: Apache-2.0
#include "media/image_format.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/error.h"
#include "media/vips.h"

namespace upres {
namespace {

using Suffixes = std::span<const std::string_view>;
constexpr std::string_view kPng[] = {".png"};
constexpr std::string_view kJpeg[] = {".jpg", ".jpeg", ".jpe", ".jfif"};
constexpr std::string_view kWebp[] = {".webp"};
constexpr std::string_view kTiff[] = {".tif", ".tiff"};
constexpr std::string_view kAvif[] = {".avif"};
constexpr std::string_view kHeic[] = {".heic", ".heif"};
constexpr std::string_view kJxl[] = {".jxl"};
constexpr std::string_view kJp2[] = {".jp2", ".j2k", ".j2c", ".jpc"};
constexpr std::string_view kPpm[] = {".ppm", ".pgm", ".pnm"};
constexpr std::string_view kPfm[] = {".pfm"};
constexpr std::string_view kBmp[] = {".bmp", ".dib"};
constexpr std::string_view kGif[] = {".gif"};

constexpr int kMaxVipsSide = 10'000'000;  // VIPS_MAX_COORD
constexpr int kMaxJpegSide = 65500;       // of libjpeg; the format has 65535

// What libheif's readers open; its encoders write more. Of a HEIC they count one pixel too many
// where the other side is not in whole blocks. The levels of AV1 and HEVC end there, too.
constexpr int kMaxAvifSide = 16384;
constexpr int kMaxHeicSide = 16383;

// x265 gives nothing, without a word, where a picture's level (5 and up, from this side on) wants
// blocks larger than the picture is wide.
constexpr int kMaxThinHeicSide = 4216;
constexpr int kMinHeicBlock = 32;

// What a format keeps is what libvips 8.14 writes into it, and EXIF of TIFF;
// tests/acceptance/metadata.py looks.
constexpr unsigned kDepths8And16 = kHoldsU8 | kHoldsU16;
constexpr unsigned kModern = kHoldsAlpha | kLossy | kLossless;
constexpr unsigned kHeif = kDepths8And16 | kHoldsAlpha | kLossy;  // libvips has it in YCbCr only

constexpr std::array kFormats = {
    FormatTraits{ImageFormat::png, "PNG", kPng, kMaxVipsSide,
                 kDepths8And16 | kHoldsAlpha | kStreams, "ICC EXIF XMP"},
    FormatTraits{ImageFormat::jpeg, "JPEG", kJpeg, kMaxJpegSide, kHoldsU8 | kLossy | kStreams,
                 "ICC EXIF XMP IPTC"},
    FormatTraits{ImageFormat::webp, "WebP", kWebp, 16383, kHoldsU8 | kModern, "ICC EXIF XMP"},
    FormatTraits{ImageFormat::tiff, "TIFF", kTiff, kMaxVipsSide,
                 kDepths8And16 | kHoldsF32 | kHoldsAlpha | kStreams, "ICC EXIF XMP IPTC"},
    FormatTraits{ImageFormat::avif, "AVIF", kAvif, kMaxAvifSide, kHeif, "ICC EXIF XMP"},
    FormatTraits{ImageFormat::heic, "HEIC", kHeic, kMaxHeicSide, kHeif, "ICC EXIF XMP"},
    FormatTraits{ImageFormat::jxl, "JPEG XL", kJxl, kMaxVipsSide, kDepths8And16 | kModern, "ICC"},
    FormatTraits{ImageFormat::jp2, "JPEG 2000", kJp2, kMaxVipsSide, kDepths8And16 | kModern, ""},
    FormatTraits{ImageFormat::ppm, "PPM", kPpm, kMaxVipsSide, kDepths8And16 | kStreams, ""},
    FormatTraits{ImageFormat::pfm, "PFM", kPfm, kMaxVipsSide, kHoldsF32, ""},
    FormatTraits{ImageFormat::bmp, "BMP", kBmp, 65535, kHoldsU8 | kHoldsAlpha, "ICC"},
    FormatTraits{ImageFormat::gif, "GIF", kGif, 65535, kHoldsU8 | kLossy | kOnlyIfAsked, ""},
};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return char(std::tolower(c)); });
  return lower;
}

}  // namespace

const FormatTraits& traits(ImageFormat format) {
  return kFormats[size_t(format)];
}

std::span<const FormatTraits> image_formats() {
  return kFormats;
}

std::optional<ImageFormat> find_format(const std::filesystem::path& path) {
  const std::string suffix = lower_case(path.extension().string());
  for (const FormatTraits& format : kFormats) {
    if (std::ranges::count(format.suffixes, suffix) > 0) return format.format;
  }
  return std::nullopt;
}

std::optional<ImageFormat> format_named(std::string_view name) {
  return find_format("x." + std::string(name));
}

void check_holds(ImageFormat format, const std::filesystem::path& path, const FrameInfo& picture) {
  const FormatTraits& can = traits(format);
  const auto refuse = [&](std::string_view what, std::string_view instead) {
    fail(ErrorCode::output, "{} cannot hold {}, which {} would have; {}", can.name, what,
         path.string(), instead);
  };
  if (picture.type == SampleType::u16 && !can.has(kHoldsU16)) {
    refuse("16 bits a sample", can.has(kHoldsU8) ? "give --depth 8, or write a PNG"
                                                 : "give --depth float, or write a PNG");
  }
  if (picture.type == SampleType::f32 && !can.has(kHoldsF32)) {
    refuse("float samples", "give --depth 8 or 16, or write a TIFF");
  }
  if (picture.type == SampleType::u8 && !can.has(kHoldsU8)) {
    refuse("8 bits a sample", "give --depth float, or write a PNG");
  }
  if (picture.has_alpha() && !can.has(kHoldsAlpha)) {
    refuse("an alpha channel", "give --flatten COLOUR, or write a PNG");
  }
  const int longest = std::max(picture.size.width, picture.size.height);
  if (longest > can.max_side) {
    refuse(fmt::format("{} pixels a side", longest),
           can.max_side < kMaxVipsSide ? "use a smaller -s, or write a PNG" : "use a smaller -s");
  }
  const int shortest = std::min(picture.size.width, picture.size.height);
  if (format == ImageFormat::heic && longest > kMaxThinHeicSide && shortest < kMinHeicBlock) {
    refuse(fmt::format("{} by {} pixels", longest, shortest), "write a PNG");
  }
}

std::string image_library() {
  return fmt::format("libvips {}.{}.{}", vips_version(0), vips_version(1), vips_version(2));
}

bool needs_bigtiff(const FrameInfo& picture) {
  // Deflate may leave a little more than there was.
  constexpr size_t kLargestClassic = size_t(3) << 30;
  return picture.total_bytes() > kLargestClassic;
}

int default_quality(ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return 95;
    case ImageFormat::webp:
    case ImageFormat::jxl:
      return 90;
    case ImageFormat::avif:
    case ImageFormat::heic:
      return 80;
    case ImageFormat::jp2:
      return 60;
    default:
      return 100;
  }
}

void check_options(ImageFormat format, const EncodeOptions& options) {
  const FormatTraits& can = traits(format);
  if (options.lossless && can.has(kLossy) && !can.has(kLossless)) {
    fail(ErrorCode::usage, "{} has no --lossless; write a PNG, WebP or JPEG XL", can.name);
  }
  if (options.quality && (!can.has(kLossy) || format == ImageFormat::gif)) {
    fail(ErrorCode::usage, "{} has no --quality; leave it out", can.name);
  }
  if (options.quality && options.lossless) {
    fail(ErrorCode::usage, "--quality and --lossless contradict each other; give one of them");
  }
}

}  // namespace upres
