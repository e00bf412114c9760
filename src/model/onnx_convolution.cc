// SPDX-License-Identifier: Apache-2.0
//
// Along one side, tap k reads (transposed: writes) at distance t = k * dilation - pad from
// stride * i. With t = stride * q + r, 0 <= r < stride, that is phase r of the pixel q further on
// in the unshuffled picture: a tap at q, of the channels of phase r.
#include "model/onnx_convolution.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "model/imported.h"

namespace upres {
namespace {

constexpr int kLargestKernel = 31;

struct Tap {
  int pixel, phase;
};

Tap tap_of(const GeneralConvolution& general, size_t side, int k) {
  const int stride = general.strides[side];
  const int distance = k * general.dilations[side] - general.pads[side];
  const int phase = (distance % stride + stride) % stride;
  const int pixel = (distance - phase) / stride;
  return {general.transposed ? -pixel : pixel, phase};
}

void check_side(const onnx::NodeProto& node, const GeneralConvolution& general, size_t side) {
  const int stride = general.strides[side];
  const int reach = general.dilations[side] * (general.kernel[side] - 1);
  const int pads = general.pads[side] + general.pads[side + 2];
  const bool keeps_size = general.transposed ? reach + 1 + general.extra[side] - pads == stride
                                             : reach - stride < pads && pads <= reach;
  if (!keeps_size) {
    refuse(node,
           "has paddings that change the picture's size by more than its strides; upres runs "
           "those that do not");
  }
}

bool is_plain(const GeneralConvolution& general) {
  const int kernel = general.kernel[0];
  const std::array<int, 2> ones{1, 1};
  return !general.transposed && general.groups == 1 && general.kernel[1] == kernel &&
         kernel % 2 == 1 && general.strides == ones && general.dilations == ones &&
         std::all_of(general.pads.begin(), general.pads.end(),
                     [&](int pad) { return pad == kernel / 2; });
}

}  // namespace

PlainConvolution plain_convolution(const onnx::NodeProto& node, const GeneralConvolution& general) {
  for (const size_t side : {0, 1}) check_side(node, general, side);
  const int stride = general.strides[0];
  if (stride != general.strides[1])
    refuse(node, "has strides that differ, which upres does not run");
  const int phases = stride * stride;
  PlainConvolution plain;
  (general.transposed ? plain.shuffle : plain.unshuffle) = stride;
  Conv2d& conv = plain.conv;
  conv.in_channels = general.in_channels * (general.transposed ? 1 : phases);
  conv.out_channels = general.out_channels * (general.transposed ? phases : 1);
  std::vector<float> biases(size_t(conv.out_channels), 0.0f);
  for (size_t out = 0; general.biases && out < biases.size(); ++out) {
    biases[out] = (*general.biases)[general.transposed ? out / size_t(phases) : out];
  }
  conv.biases = std::make_shared<const std::vector<float>>(std::move(biases));
  if (is_plain(general)) {
    conv.kernel = general.kernel[0];
    conv.weights = general.weights;
    return plain;
  }

  int radius = 0;
  for (const size_t side : {0, 1}) {
    for (int k = 0; k < general.kernel[side]; ++k) {
      radius = std::max(radius, std::abs(tap_of(general, side, k).pixel));
    }
  }
  conv.kernel = 2 * radius + 1;
  const auto side = int64_t(conv.kernel);
  if (conv.kernel > kLargestKernel ||
      int64_t(conv.in_channels) * conv.out_channels > kMostWeights / (side * side)) {
    refuse(node, "has strides, dilations or groups that take more weights than upres runs");
  }
  std::vector<float> weights(size_t(conv.in_channels) * size_t(conv.out_channels) *
                             size_t(side * side));
  const int in_group = general.in_channels / general.groups;
  const int out_group = general.out_channels / general.groups;
  const float* from = general.weights->data();
  const int rows = general.transposed ? general.in_channels : general.out_channels;
  const int columns = general.transposed ? out_group : in_group;
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      const int group = row / (general.transposed ? in_group : out_group);
      const int other = group * columns + column;
      for (int ky = 0; ky < general.kernel[0]; ++ky) {
        const Tap y = tap_of(general, 0, ky);
        for (int kx = 0; kx < general.kernel[1]; ++kx) {
          const Tap x = tap_of(general, 1, kx);
          const int phase = y.phase * stride + x.phase;
          const int out = general.transposed ? other * phases + phase : row;
          const int in = general.transposed ? row : other * phases + phase;
          const int64_t plane = int64_t(out) * conv.in_channels + in;
          weights[size_t((plane * side + y.pixel + radius) * side + x.pixel + radius)] = *from++;
        }
      }
    }
  }
  conv.weights = std::make_shared<const std::vector<float>>(std::move(weights));
  return plain;
}

}  // namespace upres
