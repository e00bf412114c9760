// SPDX-License-Identifier: Apache-2.0
#include "frame/frame.h"

#include "base/error.h"

namespace upres {

Frame::Frame(const FrameInfo& info) : info_(info), buffer_(info.total_bytes()) {
  UPRES_ASSERT(info.channels >= 1 && info.channels <= 4, "a frame has 1 to 4 channels");
}

FrameView Frame::view(int first_channel, int components) const {
  FrameView view{.size = size(), .type = type(), .components = components};
  const auto sample = ptrdiff_t(size_bytes(type()));
  for (int i = 0; i < components; ++i) {
    view.planes[size_t(i)] = {buffer_.data() + (first_channel + i) * sample, ptrdiff_t(row_bytes()),
                              channels() * sample};
  }
  return view;
}

FrameView Frame::colour() const {
  return view(0, channels() >= 3 ? 3 : 1);
}

FrameView Frame::alpha() const {
  UPRES_ASSERT(has_alpha(), "only a frame with alpha has an alpha view");
  return view(channels() - 1, 1);
}

}  // namespace upres
