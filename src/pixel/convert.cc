// SPDX-License-Identifier: Apache-2.0
#include "pixel/convert.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "pixel/sample.h"

namespace upres {
namespace {

template <typename Sample>
Sample& sample_at(const Plane& plane, int x, int y) {
  return *reinterpret_cast<Sample*>(plane.data + y * plane.row_bytes + x * plane.step_bytes);
}

/// Index i of a line of n mirrored at both ends, its end pixels not repeated.
int mirrored(int i, int n) {
  if (n == 1) return 0;
  const int period = 2 * (n - 1);
  const int phase = i % period;
  return phase < n ? phase : period - phase;
}

float clamp01(float value) {
  return value > 0 ? std::min(value, 1.0f) : 0.0f;
}

}  // namespace

float luma(float red, float green, float blue) {
  return 0.299f * clamp01(red) + 0.587f * clamp01(green) + 0.114f * clamp01(blue);
}

void gather(const FrameView& src, const Rect& read, const Activations& dst, int width,
            int first_row, int last_row) {
  UPRES_ASSERT(whole(src.size).contains(read), "a job reads inside its picture");
  UPRES_ASSERT(dst.channels >= 3, "networks read three channels");
  std::vector<int> columns(static_cast<size_t>(width));
  for (int x = 0; x < width; ++x) columns[size_t(x)] = read.x + mirrored(x, read.width);
  with_sample_type(src.type, [&](auto sample) {
    using Sample = decltype(sample);
    for (int y = first_row; y < last_row; ++y) {
      const int row = read.y + mirrored(y, read.height);
      for (int c = 0; c < dst.channels; ++c) {
        float* out = dst.pixel(0, y) + c * dst.channel_stride;
        const Plane& plane = src.planes[size_t(src.components == 3 ? std::min(c, 2) : 0)];
        for (int x = 0; x < width; ++x, out += dst.pixel_stride) {
          *out = c < 3 ? from_sample(sample_at<Sample>(plane, columns[size_t(x)], row)) : 0.0f;
        }
      }
    }
  });
}

void store(const Activations& src, const FrameView& dst, const Rect& write, int first_row,
           int last_row) {
  UPRES_ASSERT(whole(dst.size).contains(write), "a job writes inside its picture");
  UPRES_ASSERT(src.channels >= 3, "networks write three channels");
  with_sample_type(dst.type, [&](auto sample) {
    using Sample = decltype(sample);
    for (int y = first_row; y < last_row; ++y) {
      for (int x = 0; x < write.width; ++x) {
        const float* in = src.pixel(x, y);
        const std::array rgb{in[0], in[src.channel_stride], in[2 * src.channel_stride]};
        const auto put = [&](size_t component, float value) {
          sample_at<Sample>(dst.planes[component], write.x + x, write.y + y) =
              to_sample<Sample>(value);
        };
        if (dst.components == 1) {
          put(0, luma(rgb[0], rgb[1], rgb[2]));
        } else {
          for (size_t c = 0; c < 3; ++c) put(c, rgb[c]);
        }
      }
    }
  });
}

}  // namespace upres
