// SPDX-License-Identifier: Apache-2.0
// From a film's frames to pictures that networks read, and back: plain loops.
#pragma once

#include <vector>

#include "frame/film_format.h"
#include "frame/frame.h"
#include "pixel/film_plan.h"

namespace upres {

/// What a frame of such a film is as a picture: 16 bit, gray or RGB, with alpha where it has some.
FrameInfo picture_of(const FilmFormat& format);

/// Rows first_row..last_row-1 of picture_of(plan.format), of a frame of that format. Rows may be
/// made in any order, and by several threads.
void picture_from_film(const FilmPlan& plan, const FilmView& src, Frame& dst, int first_row,
                       int last_row);

/// All samples of luma rows first_row..last_row-1, and the chroma rows that begin in them, which
/// also read rows around those. `first_row` is the first one of a chroma row. `src` has the size of
/// the format and, if the format has alpha, alpha too; a gray format takes the luma of RGB.
void film_from_picture(const FilmPlan& plan, const Frame& src, const FilmView& dst, int first_row,
                       int last_row);

/// Whether all samples are the same. The formats are.
bool same_samples(const FilmView& a, const FilmView& b);

}  // namespace upres
