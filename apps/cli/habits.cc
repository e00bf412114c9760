// SPDX-License-Identifier: Apache-2.0
#include "habits.h"

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "parse.h"

namespace upres {
namespace {

std::optional<float> number(std::string_view text) {
  constexpr float kMost = 65504;  // that half precision holds
  float value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool fits = error == std::errc() && stop == end && value >= -kMost && value <= kMost;
  return fits ? std::optional(value) : std::nullopt;
}

void parse_range(const std::string& text, Habits& habits) {
  const size_t dots = text.find("..");
  const auto low = number(text.substr(0, dots));
  const auto high = dots == std::string::npos ? std::nullopt : number(text.substr(dots + 2));
  if (!low || !high || !(*low < *high)) {
    refuse("--input-range", text, "is no range such as 0..255 or -1..1");
  }
  habits.low = *low;
  habits.high = *high;
}

void parse_order(const std::string& text, Habits& habits) {
  if (text != "rgb" && text != "bgr") refuse("--channel-order", text, "is not rgb or bgr");
  habits.blue_first = text == "bgr";
}

}  // namespace

void add_habit_options(CLI::App& command, Habits& habits) {
  command
      .add_option_function<std::string>(
          "--input-range", [&](const std::string& text) { parse_range(text, habits); },
          "What the model takes and gives for black and for full intensity (0..1)")
      ->option_text("LOW..HIGH")
      ->group("Model");
  command
      .add_option_function<std::string>(
          "--channel-order", [&](const std::string& text) { parse_order(text, habits); },
          "The order of the model's channels (rgb)")
      ->option_text("rgb|bgr")
      ->group("Model");
}

}  // namespace upres
