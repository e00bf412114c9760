// SPDX-License-Identifier: Apache-2.0
// Picture files, in and out, through libvips: with media/image.cc the only code that knows it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "base/file.h"
#include "frame/frame.h"

namespace upres {

/// What a picture file holds beside its samples (ICC profile, EXIF, XMP, IPTC, resolution), kept to
/// be written with the result. Copies share it. Empty by default.
class ImageMetadata {
 public:
  struct Fields;
  ImageMetadata() = default;
  explicit ImageMetadata(std::shared_ptr<const Fields> fields) : fields_(std::move(fields)) {}
  const Fields* fields() const { return fields_.get(); }

 private:
  std::shared_ptr<const Fields> fields_;
};

/// A decoded picture, upright: an EXIF orientation is applied and the tag reset.
struct Image {
  Frame frame;  ///< u8 or u16; gray, gray+alpha, RGB or RGBA in the file's own RGB space
  ImageMetadata metadata;
};

/// What the frame of a picture will be, or is.
struct ImageInfo {
  Size size;  ///< upright
  SampleType type = SampleType::u8;
  int channels = 0;

  static ImageInfo of(const Frame& frame) { return {frame.size(), frame.type(), frame.channels()}; }
  size_t total_bytes() const {
    return size_t(size.width) * size_t(size.height) * size_t(channels) * size_bytes(type);
  }
};

/// Pixels a file's header may claim before anything is decoded.
constexpr int64_t kMaxPixels = int64_t(1) << 30;

/// What a PNG or JPEG file's header says of the picture that read_image() would give. Error{input}
/// where the file is missing, empty, of another kind, or claims more than kMaxPixels.
ImageInfo read_image_info(const std::filesystem::path& path);

/// Decodes a PNG or JPEG file whole. Palettes and 1-, 2- and 4-bit samples become 8 bit, CMYK
/// becomes sRGB. Error{input} as read_image_info(), and where the samples are damaged or cut off.
Image read_image(const std::filesystem::path& path);

enum class ImageFormat { png, jpeg };

/// The format that a file name asks for by its extension; nothing for one that is not written.
std::optional<ImageFormat> find_format(const std::filesystem::path& path);

/// Throws Error{output} that names what `format` cannot hold of such a picture (alpha or 16 bit in
/// JPEG, too many pixels a side), so that it is known before any work is done.
void check_holds(ImageFormat format, const std::filesystem::path& path, const ImageInfo& picture);

/// Encodes a picture (u8 or u16) to `path`, whole or not at all. Error{output} on failure.
void write_image(const std::filesystem::path& path, ImageFormat format, Existing existing,
                 const Frame& frame, const ImageMetadata& metadata);

}  // namespace upres
