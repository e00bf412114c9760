// SPDX-License-Identifier: Apache-2.0
// Published networks that are known by their name and not run yet, so that a user reads which one a
// file holds and not the first tensor that has no place.
#pragma once

#include <optional>
#include <set>
#include <string_view>

#include "model/state_dict.h"

namespace upres {

/// The family of weights under published names; nothing when it is not known. To be asked about
/// files that no architecture takes.
std::optional<std::string_view> foreign_family(const StateDict& weights);

/// The same of an ncnn graph, by the types of its layers.
std::optional<std::string_view> foreign_family(const std::set<std::string_view>& layer_types);

}  // namespace upres
