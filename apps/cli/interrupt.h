// SPDX-License-Identifier: Apache-2.0
// Ctrl-C.
#pragma once

#include <stop_token>

namespace upres {

/// From now on the first SIGINT or SIGTERM requests a stop through the token; the second ends the
/// program at once with exit code 130. Call it before other threads are started.
std::stop_token stop_on_interrupt();

}  // namespace upres
