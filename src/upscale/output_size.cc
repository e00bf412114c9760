// SPDX-License-Identifier: Apache-2.0
#include "upscale/output_size.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace upres {
namespace {

Size times(Size picture, double factor) {
  const auto side = [&](int pixels) {
    const double scaled = std::max(1.0, std::round(pixels * factor));
    if (scaled > kMaxSide) {
      fail(ErrorCode::input,
           "{} pixels times {} is more than {} pixels a side; ask for a smaller result", pixels,
           factor, kMaxSide);
    }
    return int(scaled);
  };
  return {side(picture.width), side(picture.height)};
}

}  // namespace

Size OutputSize::of(Size picture, int network_scale) const {
  const double by_width = double(size.width) / picture.width;
  const double by_height = double(size.height) / picture.height;
  switch (rule) {
    case Rule::native:
      return times(picture, network_scale);
    case Rule::scale:
      return times(picture, scale);
    case Rule::width:
      return times(picture, by_width);
    case Rule::height:
      return times(picture, by_height);
    case Rule::exact:
      return size;
    case Rule::fit:
      return times(picture, std::min(by_width, by_height));
  }
  UPRES_ASSERT(false, "every rule has a size");
}

}  // namespace upres
