// SPDX-License-Identifier: Apache-2.0
#include "failure.h"

#include <algorithm>
#include <cstdio>
#include <new>

#include "base/error.h"

namespace upres {

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; }, '?');
  return text;
}

Failure failure_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return {int(error.code()), error.what()};
  } catch (const std::bad_alloc&) {
    return {int(ErrorCode::memory), "out of memory; close other programs or use a smaller picture"};
  } catch (const std::exception& error) {
    return {int(ErrorCode::device), fmt::format("unexpected failure: {}", error.what())};
  }
}

void print(const Failure& failure) {
  std::fputs(fmt::format("upres: {}\n", one_line(failure.message)).c_str(), stderr);
}

}  // namespace upres
