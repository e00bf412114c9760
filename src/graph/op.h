// SPDX-License-Identifier: Apache-2.0
// The operators of the intermediate representation.
//
// Tensors have one image, channels, height and width. Sizes are not written down: an operator's
// output has a number of channels and a scale (pixels per input pixel along each side).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <variant>
#include <vector>

namespace upres {

/// Index of a value in Graph::values().
using ValueId = int32_t;

/// What happens to a value below zero; values above are kept.
struct Activation {
  enum class Kind : uint8_t { none, relu, leaky_relu, prelu };
  Kind kind = Kind::none;
  /// The factor below zero: nothing for none, {0} for relu, one for leaky_relu, one a channel for
  /// prelu. Engines need only look at the slopes.
  std::vector<float> slopes;
};

/// A value added to a convolution's result, with its factor.
struct Addend {
  ValueId value;
  float scale;
  /// The value is read as if every pixel were repeated enlarge x enlarge times.
  int enlarge = 1;
};

/// What a convolution does to each sum before it stores it:
///     stored = activation(sum + bias) + addends[0].scale * addends[0].value + ...
/// Addends have the output's channels and, enlarged, its scale.
struct Epilogue {
  Activation activation;
  std::vector<Addend> addends;
};

/// Weights and biases are float32 whatever the file held, and shared by the graphs made from it.
using Weights = std::shared_ptr<const std::vector<float>>;

/// A square convolution of odd kernel size, stride 1, zero padding of kernel/2: same size out as
/// in. Weights are [out][in][ky][kx]; biases are [out].
struct Conv2d {
  int in_channels = 0;
  int out_channels = 0;
  int kernel = 0;
  /// The input is read as if every pixel were repeated enlarge x enlarge times: see
  /// fold_upsample().
  int enlarge = 1;
  /// What is stored is shuffled as by PixelShuffle, before addends are added: see fuse_shuffle().
  int shuffle = 1;
  Weights weights;
  Weights biases;
  Epilogue epilogue;
};

/// Applies an activation to every element.
struct Activate {
  Activation activation;
};

/// The sum of two values of the same shape.
struct Add {};

/// Multiplies every element.
struct Scale {
  float factor = 1;
};

/// Stacks the channels of its inputs in order.
struct Concat {};

/// Repeats every pixel factor x factor times (nearest neighbour).
struct Upsample {
  int factor = 1;
};

/// Moves channels to pixels: channel c * factor^2 + dy * factor + dx of (x, y) becomes channel c of
/// (x * factor + dx, y * factor + dy), as torch.nn.PixelShuffle.
struct PixelShuffle {
  int factor = 1;
};

/// The inverse of PixelShuffle, as torch.nn.PixelUnshuffle.
struct PixelUnshuffle {
  int factor = 1;
};

/// Resamples both sides by numerator / denominator: resize_taps.h says how.
struct Resize {
  int numerator = 1;
  int denominator = 1;
};

using Op = std::variant<Conv2d, Activate, Add, Scale, Concat, Upsample, PixelShuffle,
                        PixelUnshuffle, Resize>;

/// "convolution", "leaky_relu", "add", …: for messages.
std::string_view kind_name(const Op& op);

}  // namespace upres
