// SPDX-License-Identifier: Apache-2.0
// Frames as GIF has them: few colours, and only what changes. Included by media/ only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "media/av.h"

namespace upres {

/// A picture of a GIF.
struct GifPicture {
  Av<AVFrame> frame;        ///< PAL8; place 255 is nothing, which shows what is below
  bool taken_away = false;  ///< before the next one is drawn, which then is on nothing
};

/// Makes a film's frames the pictures of a GIF. What does not change is not drawn again, so that it
/// does not flicker where colours are dithered. Up to 255 colours of a picture are kept as they
/// are; more are reduced by libvips' quantiser, and dithered. Alpha of half and more becomes whole,
/// and less nothing. The same frames give the same pictures.
class GifPictures {
 public:
  /// Takes the next frame, of 32-bit words (RGB32, or 0RGB32, which is opaque), and gives the
  /// picture of the one before it, if there is one. Error{output} where libvips has no quantiser.
  std::optional<GifPicture> put(const AVFrame& words);
  /// Gives the last one.
  std::optional<GifPicture> finish();

 private:
  using Colours = std::vector<uint32_t>;  ///< opaque words, or 0
  GifPicture draw(const Colours* next);

  Colours shown_;  ///< by the pictures so far; empty: nothing
  Colours held_;   ///< the frame whose picture is not made yet
  Av<AVFrame> held_frame_;
};

}  // namespace upres
