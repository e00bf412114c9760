// SPDX-License-Identifier: Apache-2.0
// From an exception to what the user gets: one line and an exit code.
#pragma once

#include <exception>
#include <string>

namespace upres {

struct Failure {
  int exit_code = 0;
  std::string message;  ///< one line, as Error::what()
};

/// What an exception means to the user. Anything but an Error or a lack of memory is a failure of
/// the device, or a bug.
Failure failure_of(const std::exception_ptr& exception);

/// The text without line breaks and what terminals take for commands, which the name of a file may
/// hold.
std::string one_line(std::string text);

/// Writes "upres: MESSAGE" to stderr.
void print(const Failure& failure);

}  // namespace upres
