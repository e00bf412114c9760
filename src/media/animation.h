// SPDX-License-Identifier: Apache-2.0
// What the files of animated pictures say of themselves that no library tells. They may be hostile.
// Included by media/ only.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace upres {

/// The most that all animated pictures can count to.
constexpr int kMostPlays = 65535;

/// How often a film in a container (as libav calls it: "gif") is shown, from its first frame to its
/// last, as viewers do it; 0: for ever. Nothing where the container does not say, or its file
/// cannot be read a second time.
std::optional<int> plays_of(const std::string& path, const std::string& container);

/// The same of a GIF's bytes. Their number is that of repetitions; without one it is shown once.
std::optional<int> plays_of_gif(std::span<const std::byte> file);
std::optional<int> plays_of_apng(std::span<const std::byte> file);

}  // namespace upres
