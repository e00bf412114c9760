// SPDX-License-Identifier: Apache-2.0
// Measures how long things take.
#pragma once

#include <chrono>
#include <utility>

namespace upres {

class Stopwatch {
 public:
  /// Seconds since the last call, or since it was made.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace upres
