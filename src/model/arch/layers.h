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

/// A layer as a state dict holds it: a convolution with NAME.weight [out, in, kernel, kernel] and
/// NAME.bias [out], or the slopes of a PReLU with NAME.weight [channels].
struct WeightedLayer {
  std::string name;
  Shape weight;
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
/// not a finite floating point number.
Conv2d conv2d(const StateDict& weights, const std::string& name);
Activation prelu(const StateDict& weights, const std::string& name);

}  // namespace upres
