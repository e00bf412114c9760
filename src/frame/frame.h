// SPDX-License-Identifier: Apache-2.0
// A picture in host memory.
#pragma once

#include "frame/frame_view.h"
#include "tensor/tensor.h"

namespace upres {

/// A picture with packed channels and no padding between rows: gray, gray+alpha, RGB or RGBA.
/// Alpha is never premultiplied. Move-only.
class Frame {
 public:
  Frame() = default;
  /// Uninitialised samples. `channels` is 1..4. Error{memory} when there is not enough memory.
  Frame(Size size, SampleType type, int channels);

  Size size() const { return size_; }
  SampleType type() const { return type_; }
  int channels() const { return channels_; }
  bool has_alpha() const { return channels_ == 2 || channels_ == 4; }

  std::byte* data() { return buffer_.data(); }
  const std::byte* data() const { return buffer_.data(); }
  size_t row_bytes() const { return size_t(size_.width) * size_t(channels_) * size_bytes(type_); }
  size_t total_bytes() const { return row_bytes() * size_t(size_.height); }

  /// The colour: 1 component of gray or 3 of RGB. Valid while the frame lives.
  FrameView colour() const;
  /// The alpha channel as a gray picture. Only where has_alpha().
  FrameView alpha() const;

 private:
  FrameView view(int first_channel, int components) const;

  Size size_;
  SampleType type_ = SampleType::u8;
  int channels_ = 0;
  mutable Buffer buffer_;  // a view leads to samples that may be written
};

}  // namespace upres
