// SPDX-License-Identifier: Apache-2.0
// The published models that upres knows by name.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace upres {

/// A model file that is always the same, byte for byte.
struct KnownModel {
  std::string_view name;     ///< what -n takes: the file's name without its extension
  std::string_view file;     ///< the file's name
  std::string_view about;    ///< in a few words
  int scale;                 ///< how many times larger its result is
  std::string_view licence;  ///< SPDX identifier
  uint64_t size_bytes;
  std::string_view sha256;  ///< 64 lower-case hexadecimal digits
  std::string_view url;     ///< where its makers offer it; empty: it comes with upres
  std::string_view source;  ///< where size, hash, licence and URL are stated
};

/// All of them, in the order in which they are shown.
std::span<const KnownModel> known_models();

/// The one that is called so, by its name or by its file's; null when there is none.
const KnownModel* find_known_model(std::string_view name);

/// The one whose name is much like this, for "did you mean"; null when none is.
const KnownModel* nearest_known_model(std::string_view name);

}  // namespace upres
