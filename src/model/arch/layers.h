// SPDX-License-Identifier: Apache-2.0
// What families of plain convolutions share: layers by name and shape, and taking their weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/op.h"
#include "model/architecture.h"
#include "model/state_dict.h"

namespace upres {

/// A layer as a state dict holds it: a convolution with NAME.weight [out, in, kernel, kernel] and,
/// where it has biases, NAME.bias [out], or the slopes of a PReLU with NAME.weight [channels].
struct WeightedLayer {
  std::string name;
  Shape weight;
  bool has_biases = true;  ///< looked at for convolutions only
};

/// A 3x3 convolution.
WeightedLayer conv3x3(std::string name, int in_channels, int out_channels);

/// Nothing when the state dict has exactly the tensors of `layers`; otherwise the first that is
/// missing, of another shape or too many, and the share of tensors that fit.
std::optional<Mismatch> compare(const StateDict& weights, const std::vector<WeightedLayer>& layers);

/// Size number `axis` of the convolution weights `name`; 0 where there is no such tensor, it does
/// not have four dimensions, or the size is not one of a network.
int conv_size(const StateDict& weights, const std::string& name, size_t axis);

/// The convolution and the slopes of a layer that compare() found. Error{model} where a value is
/// not a finite floating point number. A convolution without biases gets zeros.
Conv2d conv2d(const StateDict& weights, const std::string& name);
Activation prelu(const StateDict& weights, const std::string& name);

// Engines run pictures of three colours. A network for gray becomes one for colours by its first
// and last convolutions, at no cost: it sees the picture's BT.601 luma, and its result is the same
// for each colour. A gray picture, whose colours are equal, comes out as the network was made to
// do; of a colour picture the gray version is enlarged.

/// A convolution over gray, or over gray that was unshuffled, as one over colours (unshuffled by
/// the same factor): each input becomes three, the luma of which it was.
Conv2d over_luma(const Conv2d& conv);

/// A convolution that makes one channel as one that makes it three times.
Conv2d repeated_for_colours(const Conv2d& conv);

}  // namespace upres
