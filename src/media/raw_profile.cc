// SPDX-License-Identifier: Apache-2.0
#include "media/raw_profile.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace upres {
namespace {

/// The value of a hexadecimal digit, or -1.
int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

void skip_spaces(std::string_view& text) {
  while (!text.empty() && is_space(text[0])) text.remove_prefix(1);
}

}  // namespace

std::vector<std::byte> raw_profile(std::string_view text) {
  skip_spaces(text);
  text.remove_prefix(std::min(text.find('\n'), text.size()));  // the name
  skip_spaces(text);
  size_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  text.remove_prefix(size_t(end - text.data()));
  if (error != std::errc() || count > text.size() / 2) return {};
  std::vector<std::byte> bytes;
  bytes.reserve(count);
  while (bytes.size() < count) {
    skip_spaces(text);
    if (text.size() < 2 || digit(text[0]) < 0 || digit(text[1]) < 0) return {};
    bytes.push_back(std::byte(16 * digit(text[0]) + digit(text[1])));
    text.remove_prefix(2);
  }
  return bytes;
}

}  // namespace upres
