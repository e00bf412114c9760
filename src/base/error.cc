// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cstdio>
#include <cstdlib>

namespace upres {

void assertion_failed(const char* condition, const char* why, const char* file, int line) {
  std::fprintf(stderr, "upres: bug at %s:%d: %s (%s)\n", file, line, why, condition);
  std::abort();
}

}  // namespace upres
