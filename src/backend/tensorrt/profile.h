// SPDX-License-Identifier: Apache-2.0
// The sizes of picture that an engine takes.
#pragma once

#include <optional>
#include <string>

#include "graph/graph.h"
#include "tile/rect.h"

namespace upres::tensorrt {

/// An engine takes every size between `least` and `most` whose sides are multiples of the graph's
/// alignment, and is fastest at `tuned`.
struct Profile {
  Size least, tuned, most;
  friend bool operator==(const Profile&, const Profile&) = default;
};

/// "1x1 to 4096x4096, tuned for 1280x720"
std::string text_of(const Profile& profile);

/// What a network's engine is to take: from the smallest picture on as much as no value of it has
/// 2^31 numbers or more, which TensorRT does not count to, and at most 4096x4096: tiles that are
/// larger are no faster. It is tuned for `hint`, as near as that is possible.
Profile choose_profile(const Graph& graph, std::optional<Size> hint);

}  // namespace upres::tensorrt
