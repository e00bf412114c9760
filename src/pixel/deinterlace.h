// SPDX-License-Identifier: Apache-2.0
// Interlaced frames made whole.
#pragma once

#include "frame/film_format.h"

namespace upres {

/// Where in its film a frame stands.
struct FrameNeighbours {
  FilmView previous;
  FilmView present;
  FilmView next;
  bool is_first = false;  ///< there is none before: `previous` is not looked at
};

/// The frame at the time of its first field: that field's lines as they are, and between them what
/// the filter "bwdif" makes of the lines around, before and behind: the deinterlacer of M. Weston
/// (BBC Research Department Report 1987/13: coefficients for low and high vertical frequencies),
/// held within what the neighbours in time allow as in M. Niedermayer's yadif. All views have one
/// format, whose samples have the order of bytes of the machine.
void deinterlace(const FrameNeighbours& frames, bool top_field_first, const FilmView& dst);

}  // namespace upres
