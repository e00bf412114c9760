// SPDX-License-Identifier: Apache-2.0
// What may be downloaded, and what it is called here.
#pragma once

#include <string>

namespace upres {

/// Error{usage} unless it is a whole https:// URL.
void check_url(const std::string& url);

/// The name of the file that a URL points at: its last part with %XX decoded, without query and
/// fragment. Error{usage} where that is no plain name for a new file: empty, hidden, with a slash
/// or a control character in it, too long, or one that a PartFile would give. What a server says of
/// the name (Content-Disposition) is never asked.
std::string file_name_of(const std::string& url);

}  // namespace upres
