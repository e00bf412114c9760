// SPDX-License-Identifier: Apache-2.0
#include "interrupt.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/error.h"

namespace upres {

// The signals are blocked in every thread (new ones inherit that), and one thread waits for them:
// so nothing runs inside a signal handler, and no system call of another thread is cut short.
std::stop_token stop_on_interrupt() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  std::stop_source source;
  std::thread([signals, source]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    source.request_stop();
    sigwait(&signals, &signal);
    _exit(int(ErrorCode::interrupted));
  }).detach();  // it ends with the program
  return source.get_token();
}

}  // namespace upres
