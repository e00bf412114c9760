// SPDX-License-Identifier: Apache-2.0
// A picture in host memory.
#pragma once

#include "frame/frame_view.h"
#include "tensor/tensor.h"

namespace upres {

/// What a picture is, without its samples.
struct FrameInfo {
  Size size;
  SampleType type = SampleType::u8;
  int channels = 0;  ///< 1: gray, 2: gray and alpha, 3: RGB, 4: RGBA

  bool has_alpha() const { return channels == 2 || channels == 4; }
  size_t row_bytes() const { return size_t(size.width) * size_t(channels) * size_bytes(type); }
  size_t total_bytes() const { return row_bytes() * size_t(size.height); }
  friend bool operator==(const FrameInfo&, const FrameInfo&) = default;
};

/// A picture with packed channels and no padding between rows: gray, gray+alpha, RGB or RGBA.
/// Alpha is never premultiplied. Move-only.
class Frame {
 public:
  Frame() = default;
  /// Uninitialised samples. `channels` is 1..4. Error{memory} when there is not enough memory.
  explicit Frame(const FrameInfo& info);
  Frame(Size size, SampleType type, int channels) : Frame(FrameInfo{size, type, channels}) {}

  const FrameInfo& info() const { return info_; }
  Size size() const { return info_.size; }
  SampleType type() const { return info_.type; }
  int channels() const { return info_.channels; }
  bool has_alpha() const { return info_.has_alpha(); }

  std::byte* data() { return buffer_.data(); }
  const std::byte* data() const { return buffer_.data(); }
  std::byte* row(int y) { return data() + size_t(y) * row_bytes(); }
  const std::byte* row(int y) const { return data() + size_t(y) * row_bytes(); }
  size_t row_bytes() const { return info_.row_bytes(); }
  size_t total_bytes() const { return info_.total_bytes(); }

  /// The colour: 1 component of gray or 3 of RGB. Valid while the frame lives.
  FrameView colour() const;
  /// The alpha channel as a gray picture. Only where has_alpha().
  FrameView alpha() const;

 private:
  FrameView view(int first_channel, int components) const;

  FrameInfo info_;
  mutable Buffer buffer_;  // a view leads to samples that may be written
};

}  // namespace upres
