// SPDX-License-Identifier: Apache-2.0
// Keys that are pressed while something runs.
#pragma once

#include <termios.h>

#include <functional>
#include <thread>

namespace upres {

/// Calls a function for every key, on a thread of its own, while it lives; where stdin and stderr
/// are not a terminal nothing happens. The terminal is as it was afterwards, and Ctrl-C stays what
/// it is.
class KeyWatch {
 public:
  explicit KeyWatch(std::function<void(char)> pressed);
  KeyWatch(const KeyWatch&) = delete;
  KeyWatch& operator=(const KeyWatch&) = delete;
  ~KeyWatch();

 private:
  termios before_{};
  std::jthread thread_;
};

}  // namespace upres
