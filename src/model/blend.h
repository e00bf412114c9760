// SPDX-License-Identifier: Apache-2.0
// Deep network interpolation: a network between two of one architecture, trained from one start for
// two purposes, by mixing their weights (Wang et al., CVPR 2019).
#pragma once

#include "model/state_dict.h"

namespace upres {

/// (1 - weight) * a + weight * b for each tensor, in float32 and a's order: a for 0, b for 1.
/// Error{model} that names the first difference when they do not have the same names and shapes.
StateDict blend(const StateDict& a, const StateDict& b, double weight);

}  // namespace upres
