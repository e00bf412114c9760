// SPDX-License-Identifier: Apache-2.0
// Picture files out, through libvips.
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/file.h"
#include "frame/rows.h"
#include "media/image_format.h"
#include "media/image_reader.h"

namespace upres {

/// What is to be written, and how.
struct ImageTarget {
  std::filesystem::path path;
  ImageFormat format = ImageFormat::png;
  Existing existing = Existing::refuse;
  EncodeOptions options = {};
  std::optional<timespec> time = {};  ///< the file's time of change; none: now
};

/// A picture file that is encoded on a thread of its own while its rows come. It is there whole
/// after finish(), or not at all.
class ImageWriter : public RowSink {
 public:
  /// Error{output} where the format cannot hold such a picture, or the folder takes no file.
  /// `limit_bytes` bounds the rows that wait to be encoded.
  ImageWriter(const ImageTarget& target, const FrameInfo& info, const ImageMetadata& metadata,
              size_t limit_bytes);
  ImageWriter(const ImageWriter&) = delete;
  ImageWriter& operator=(const ImageWriter&) = delete;
  /// Gives up what is not finished.
  ~ImageWriter() override;

  /// Error{output} where encoding has failed.
  void write(Frame rows) override;
  /// Waits until all rows are encoded, and gives the file its name. Error{output} on failure.
  void finish();
  /// True when finish() will not wait for the encoder.
  bool is_encoded() const;

  /// Memory that the rows and the encoder take at most, in bytes.
  static size_t bytes_needed(ImageFormat format, const FrameInfo& info, size_t limit_bytes);

 private:
  struct Encoding;
  std::unique_ptr<Encoding> encoding_;
};

/// Encodes a picture in memory.
void write_image(const ImageTarget& target, const Frame& frame, const ImageMetadata& metadata);

}  // namespace upres
