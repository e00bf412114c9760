// SPDX-License-Identifier: Apache-2.0
// The one exception type of upres, and the causes by which a program answers it.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace upres {

/// Why something failed. The numbers are the exit codes of the command line program.
enum class ErrorCode {
  usage = 2,         ///< the command line contradicts itself or names something unknown
  input = 3,         ///< a picture cannot be read, or is refused
  model = 4,         ///< a model file cannot be read, or its network is not one we run
  output = 5,        ///< the output cannot be written, cannot hold the result, or the disk is full
  memory = 6,        ///< not enough memory
  device = 7,        ///< no such device, or its driver fails
  network = 8,       ///< a server cannot be reached, or does not give what it was asked for
  interrupted = 130  ///< the user asked to stop
};

/// A failure with its cause. `what()` is one sentence that holds the values and the next step; it
/// starts in lower case and ends without a full stop, so that it reads after "upres: ".
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// Throws an Error whose message is formatted as by fmt::format.
template <typename... Args>
[[noreturn]] void fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

/// Prints where and what, then aborts. Use UPRES_ASSERT.
[[noreturn]] void assertion_failed(const char* condition, const char* why, const char* file,
                                   int line);

}  // namespace upres

/// Stops the program on a bug of our own. Never for bad input: that is an Error.
#define UPRES_ASSERT(condition, why) \
  ((condition) ? (void)0 : ::upres::assertion_failed(#condition, why, __FILE__, __LINE__))
