// SPDX-License-Identifier: Apache-2.0
// What the files of animated pictures say of themselves that no library tells. They may be hostile.
// Included by media/ only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tile/rect.h"

namespace upres {

/// The most that all animated pictures can count to.
constexpr int kMostPlays = 65535;

/// What libav does not tell of a film in a container (as it calls it: "gif").
struct AnimationWords {
  /// How often it is shown, from its first frame to its last, as viewers do it; 0: for ever.
  /// Nothing where the container does not say, or its file cannot be read a second time.
  std::optional<int> plays = {};
  bool cut_off = false;  ///< a GIF, in the middle of something
};
AnimationWords words_of(const std::string& path, const std::string& container);

/// How often a GIF is shown. Its number is that of repetitions; without one it is shown once.
std::optional<int> plays_of_gif(std::span<const std::byte> file);
/// Whether a GIF ends within a picture or what belongs to one.
bool is_gif_cut_off(std::span<const std::byte> file);
/// Has a picture of a GIF taken away before the next one is drawn, or left. `packet`: one of
/// libav's encoder.
void set_gif_disposal(std::span<std::byte> packet, bool taken_away);

std::optional<int> plays_of_apng(std::span<const std::byte> file);

/// A frame of an animated WebP: a rectangle of its canvas.
struct WebpFrame {
  int x = 0;
  int y = 0;
  Size size;
  int delay_ms = 0;
  bool blends = false;      ///< by its alpha; else it replaces what was there
  bool is_cleared = false;  ///< the rectangle, to nothing, when its time is over
  uint64_t data = 0;        ///< where in the file its chunks begin: its samples
  uint64_t length = 0;      ///< of those
};

/// An animated WebP, as far as it is whole.
struct WebpAnimation {
  Size size;
  bool has_alpha = false;
  int plays = 0;
  std::vector<WebpFrame> frames;
  bool cut_off = false;  ///< whether the file says that there is more
};
/// Nothing where the bytes are no animated WebP.
std::optional<WebpAnimation> find_webp_frames(std::span<const std::byte> file);

/// Gives an animated WebP's last frame what the others leave of the whole's length.
void set_webp_length(std::span<std::byte> file, int64_t length_ms);

}  // namespace upres
