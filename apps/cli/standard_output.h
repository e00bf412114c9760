// SPDX-License-Identifier: Apache-2.0
// What commands print.
#pragma once

#include <string>

namespace upres {

/// Writes a command's text to stdout. Error{output} where that fails.
void write_to_stdout(const std::string& text);

}  // namespace upres
