// SPDX-License-Identifier: Apache-2.0
// ONNX's convolutions have strides, dilations, groups, any kernel and any padding, and may be
// transposed. Ours have none of these, and need none: what strides skip can be unshuffled into
// channels, and all the rest are weights that are zero.
#pragma once

#include <array>

#include "graph/op.h"
#include "onnx/proto.h"

namespace upres {

/// As ONNX states it. Sides in the order y, x; pads y and x before, y and x after.
struct GeneralConvolution {
  bool transposed = false;
  int in_channels = 0, out_channels = 0;
  int groups = 1;
  std::array<int, 2> kernel = {1, 1}, strides = {1, 1}, dilations = {1, 1}, extra = {0, 0};
  std::array<int, 4> pads = {0, 0, 0, 0};
  Weights weights;  ///< [out][in / groups][ky][kx]; transposed: [in][out / groups][ky][kx]
  Weights biases;   ///< null: none
};

/// The same function as a convolution of ours between a PixelUnshuffle of the input and a
/// PixelShuffle of the result (factors of 1: without).
struct PlainConvolution {
  int unshuffle = 1;
  Conv2d conv;
  int shuffle = 1;
};

/// Error{model}, about `node`, where the result is not the input's size divided (transposed:
/// multiplied) by the strides, or where the weights would be too many.
PlainConvolution plain_convolution(const onnx::NodeProto& node, const GeneralConvolution& general);

}  // namespace upres
