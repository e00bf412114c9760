// SPDX-License-Identifier: Apache-2.0
// Between libav's pixel formats and colour tags and those of upres. Included by media/ only.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "frame/film_format.h"
#include "media/av.h"
#include "media/film_frame.h"

namespace upres {

/// What a pixel format holds: kind, depth, alpha, chroma. Nothing for what upres does not convert:
/// palettes, floats, bits, mosaics, components of several depths, frames in a device's memory.
std::optional<FilmFormat> layout_of(AVPixelFormat format);

/// How the samples of a frame are stored, be it in a GPU's memory.
AVPixelFormat stored_pixels(const AVFrame& frame);

/// Where the samples of a frame are. Its pixel format has a layout; GPUs store samples of `format`
/// in words that have bits below them.
FilmView view_of(const AVFrame& frame, const FilmFormat& format);

/// What a frame's samples mean, which are those of `pixels`, however they are stored. `guessed`:
/// whether it does not say so itself. Error{input} where upres does not convert them.
struct Meaning {
  FilmFormat format;
  FilmColour colour;
  bool guessed = false;
};
Meaning meaning_of(const AVFrame& frame, AVPixelFormat pixels, AVCodecID codec);

/// The meaning of a result: the source's where that has the same kind of colour, else the usual one
/// for its size. `layout` is that of its pixel format.
Meaning meaning_of_result(const FilmFormat& layout, Size size, const FilmInfo& source);

AVChromaLocation chroma_location(const FilmFormat& format);

/// What a frame of `source` loses in another pixel format, worst first; 0: nothing.
struct Loss {
  bool kind = false;  ///< RGB and YUV are converted, or colour lost
  bool alpha = false;
  bool depth = false;
  bool chroma = false;
  /// How unfit the format is, to compare: what is lost counts before what is wasted.
  int cost = 0;
};
Loss loss_of(const FilmFormat& source, const FilmFormat& layout);

/// The one of `formats` that loses least of `source`, and then wastes least; none where upres
/// converts to none of them.
AVPixelFormat best_format(const FilmFormat& source, std::span<const AVPixelFormat> formats);

}  // namespace upres
