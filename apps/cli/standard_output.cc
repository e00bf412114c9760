// SPDX-License-Identifier: Apache-2.0
#include "standard_output.h"

#include <cstdio>

#include "base/error.h"

namespace upres {

void write_to_stdout(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    fail(ErrorCode::output, "cannot write to standard output");
  }
}

}  // namespace upres
