// SPDX-License-Identifier: Apache-2.0
// Values of options that have a form of their own. What makes no sense is refused: a
// CLI::ValidationError.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tile/rect.h"

namespace upres {

/// "--tile 3x is neither auto nor a number of pixels".
[[noreturn]] void refuse(const char* option, std::string_view text, const char* why);

/// Nothing where the text is anything else.
std::optional<int64_t> whole_number(std::string_view text);

/// Pixels of a picture's side; nothing where the text is anything else.
std::optional<int> parse_side(std::string_view text);

/// "800x600".
Size parse_size(const char* option, const std::string& text);

}  // namespace upres
