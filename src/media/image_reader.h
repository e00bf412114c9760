// SPDX-License-Identifier: Apache-2.0
// Picture files in, through libvips.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "frame/rows.h"
#include "media/image_format.h"

namespace upres {

/// What a picture file holds beside its samples (ICC profile, EXIF, XMP, IPTC, resolution), kept to
/// be written with the result. Copies share it. Empty by default.
class ImageMetadata {
 public:
  struct Fields;
  ImageMetadata() = default;
  explicit ImageMetadata(std::shared_ptr<const Fields> fields) : fields_(std::move(fields)) {}
  const Fields* fields() const { return fields_.get(); }
  /// "ICC, EXIF": which kinds of it a file of that format is written without, in that order.
  std::string lost_in(ImageFormat format) const;
  /// What it lacks of the file's, as in "EXIF of more than 64 kB"; empty where it lacks nothing.
  std::string_view unread() const;

 private:
  std::shared_ptr<const Fields> fields_;
};

/// Pixels a file's header may claim before anything is decoded, unless told otherwise.
constexpr int64_t kMaxPixels = int64_t(1) << 30;

struct ReadOptions {
  int64_t max_pixels = kMaxPixels;
  /// The colour (red, green, blue, 0..255) that alpha is laid over; none: alpha is kept.
  std::optional<std::array<uint8_t, 3>> flatten = {};
};

/// A picture file that is read from top to bottom. PNG, JPEG, WebP, TIFF, AVIF, HEIC, JPEG XL, JPEG
/// 2000, PPM and its kin, BMP and GIF, told by content; of several frames or pages the first.
///
/// Rows come upright: an EXIF orientation is applied (for which the picture is held whole where it
/// turns rows). Palettes and samples of less than 8 bits become 8 bit, of 10 and 12 bits 16; floats
/// are clamped to 0..1. RGB and gray stay in the file's own space; CMYK and Lab become sRGB.
class ImageReader : public RowSource {
 public:
  /// Reads the header. Error{input} where the file is missing, empty, of another kind, or claims
  /// too many pixels.
  ImageReader(const std::filesystem::path& path, const ReadOptions& options);
  ~ImageReader() override;

  const FrameInfo& info() const override { return info_; }
  /// Error{input} where the samples are damaged or cut off.
  Frame read() override;

  const ImageMetadata& metadata() const { return metadata_; }
  /// Whether floats beyond 0..1 were clamped in the rows that were read. Not while another thread
  /// reads.
  bool has_clamped() const { return has_clamped_; }
  /// Memory that reading takes beside the strips, in bytes.
  size_t bytes_held() const;

 private:
  struct Vips;
  std::filesystem::path path_;
  std::unique_ptr<Vips> vips_;
  FrameInfo info_;
  ImageMetadata metadata_;
  bool has_clamped_ = false;
  int next_row_ = 0;
};

/// A decoded picture.
struct Image {
  Frame frame;
  ImageMetadata metadata;
};

/// Decodes a file whole.
Image read_image(const std::filesystem::path& path, const ReadOptions& options = {});

/// What the frame of read_image() would be, from the header alone.
FrameInfo read_image_info(const std::filesystem::path& path, const ReadOptions& options = {});

}  // namespace upres
