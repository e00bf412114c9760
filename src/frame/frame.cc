// SPDX-License-Identifier: Apache-2.0
#include "frame/frame.h"

#include "base/error.h"

namespace upres {

Frame::Frame(Size size, SampleType type, int channels)
    : size_(size), type_(type), channels_(channels), buffer_(total_bytes()) {
  UPRES_ASSERT(channels >= 1 && channels <= 4, "a frame has 1 to 4 channels");
}

FrameView Frame::view(int first_channel, int components) const {
  FrameView view{.size = size_, .type = type_, .components = components};
  const auto sample = ptrdiff_t(size_bytes(type_));
  for (int i = 0; i < components; ++i) {
    view.planes[size_t(i)] = {buffer_.data() + (first_channel + i) * sample, ptrdiff_t(row_bytes()),
                              channels_ * sample};
  }
  return view;
}

FrameView Frame::colour() const {
  return view(0, channels_ >= 3 ? 3 : 1);
}

FrameView Frame::alpha() const {
  UPRES_ASSERT(has_alpha(), "only a frame with alpha has an alpha view");
  return view(channels_ - 1, 1);
}

}  // namespace upres
