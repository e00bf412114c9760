// SPDX-License-Identifier: Apache-2.0
#include "keys.h"

#include <poll.h>
#include <unistd.h>

#include <utility>

namespace upres {
namespace {

constexpr int kPollMs = 100;

/// Whether this process may change the terminal: one in the background would be stopped.
bool is_in_foreground() {
  return isatty(STDIN_FILENO) != 0 && isatty(STDERR_FILENO) != 0 &&
         tcgetpgrp(STDIN_FILENO) == getpgrp();
}

}  // namespace

KeyWatch::KeyWatch(std::function<void(char)> pressed) {
  if (!is_in_foreground() || tcgetattr(STDIN_FILENO, &before_) != 0) return;
  termios raw = before_;
  raw.c_lflag &= ~tcflag_t(ICANON | ECHO);
  if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) return;
  thread_ = std::jthread([pressed = std::move(pressed)](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd waiting{STDIN_FILENO, POLLIN, 0};
      if (poll(&waiting, 1, kPollMs) <= 0) continue;
      char key = 0;
      if (read(STDIN_FILENO, &key, 1) != 1) return;
      pressed(key);
    }
  });
}

KeyWatch::~KeyWatch() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

}  // namespace upres
