// SPDX-License-Identifier: Apache-2.0
// Animated WebP in: libav reads none. Included by media/ only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "media/animation.h"

namespace upres {

/// The frames of a file, one after the other, each as it is shown. libvips decodes them one by one,
/// as still pictures, since it would decode an animation whole: memory does not grow with their
/// number, and a damaged one does not take the others with it.
class WebpReader {
 public:
  /// Null where the file is no animated WebP. Error{input} where its pictures are larger, or none
  /// is whole.
  static std::unique_ptr<WebpReader> open(const std::string& path, int64_t max_pixels);

  const WebpAnimation& animation() const { return animation_; }

  /// Puts the next frame's samples (red, green, blue, and alpha where the animation has it) into
  /// rows that are `row_bytes` apart. False at the end.
  bool read(uint8_t* rows, int64_t row_bytes);
  /// Which one of the animation's frames that was.
  size_t frame() const { return next_ - 1; }

  /// Frames so far that could not be decoded, and were left out; and why, of the last one.
  int64_t damaged() const { return damaged_; }
  const std::string& reason() const { return reason_; }

 private:
  WebpReader(MappedFile file, WebpAnimation animation);
  bool draw(const WebpFrame& frame);

  MappedFile file_;
  WebpAnimation animation_;
  std::vector<uint8_t> canvas_;  ///< red, green, blue, alpha
  size_t next_ = 0;
  const WebpFrame* drawn_ = nullptr;  ///< the last one
  int64_t damaged_ = 0;
  std::string reason_;
};

}  // namespace upres
