// SPDX-License-Identifier: Apache-2.0
#include "parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "upscale/output_size.h"

namespace upres {

void refuse(const char* option, std::string_view text, const char* why) {
  throw CLI::ValidationError(option, fmt::format("{} {}", text, why));
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

std::optional<int> parse_side(std::string_view text) {
  const auto pixels = whole_number(text);
  if (!pixels || *pixels < 1 || *pixels > kMaxSide) return std::nullopt;
  return int(*pixels);
}

Size parse_size(const char* option, const std::string& text) {
  const size_t by = text.find('x');
  if (by != std::string::npos) {
    const auto width = parse_side(std::string_view(text).substr(0, by));
    const auto height = parse_side(std::string_view(text).substr(by + 1));
    if (width && height) return {*width, *height};
  }
  refuse(option, text, "is not a size such as 800x600");
}

}  // namespace upres
