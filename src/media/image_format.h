// SPDX-License-Identifier: Apache-2.0
// The picture formats: what each is called, and what it can hold.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "frame/frame.h"

namespace upres {

enum class ImageFormat { png, jpeg, webp, tiff, avif, heic, jxl, jp2, ppm, pfm, bmp, gif };

/// What a format can do, and how upres writes it; bits of FormatTraits::flags.
enum FormatFlag : unsigned {
  kHoldsU8 = 1,
  kHoldsU16 = 2,
  kHoldsF32 = 4,
  kHoldsAlpha = 8,
  kLossy = 16,        ///< loses something of the pixels, unless it can be told not to
  kLossless = 32,     ///< a lossy format that can
  kStreams = 64,      ///< is encoded as rows come; else the encoder holds the whole picture
  kOnlyIfAsked = 128  ///< does not take the place of an input's own format by itself
};

struct FormatTraits {
  ImageFormat format;
  std::string_view name;                       ///< "JPEG XL"
  std::span<const std::string_view> suffixes;  ///< with the dot, lower case, the usual one first
  int max_side;                                ///< pixels
  unsigned flags;
  std::string_view keeps;  ///< of "ICC EXIF XMP IPTC": what is written besides the pixels

  bool has(FormatFlag flag) const { return (flags & flag) != 0; }
};

const FormatTraits& traits(ImageFormat format);

/// All formats, in the order of the enumeration.
std::span<const FormatTraits> image_formats();

/// The format that a file name asks for by its extension; nothing for one that is not written.
std::optional<ImageFormat> find_format(const std::filesystem::path& path);

/// The format of that name, as in "webp" or "jpg".
std::optional<ImageFormat> format_named(std::string_view name);

/// Throws Error{output} that names what `format` cannot hold of such a picture, so that it is known
/// before any work is done.
void check_holds(ImageFormat format, const std::filesystem::path& path, const FrameInfo& picture);

/// What reads and writes them: "libvips 8.14.1".
std::string image_library();

/// Whether a TIFF of such a picture may pass the 4 GiB that a classic one can address.
bool needs_bigtiff(const FrameInfo& picture);

/// How a picture is encoded.
struct EncodeOptions {
  std::optional<int> quality = {};  ///< 1..100, of lossy formats; none: default_quality()
  bool lossless = false;            ///< only where the format can
  int png_level = 2;                ///< 0..9
};

/// The quality a lossy format gets unless told otherwise, 1..100.
int default_quality(ImageFormat format);

/// Throws Error{usage} where the options ask for what the format has not.
void check_options(ImageFormat format, const EncodeOptions& options);

}  // namespace upres
