// SPDX-License-Identifier: Apache-2.0
// upres video at work.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "media/film_encoder.h"
#include "media/film_muxer.h"
#include "media/film_reader.h"
#include "network_options.h"
#include "upscale/film_input.h"

namespace upres {

/// What the user asked for.
struct VideoOptions : NetworkOptions {
  std::string input;                       ///< "-": stdin
  std::optional<std::string> output = {};  ///< "-": stdout; none: beside the input
  std::optional<std::string> suffix = {};
  std::string format;  ///< of the output; empty: by its name
  bool overwrite = false;
  bool skip = false;
  bool resume = false;
  bool lenient = false;
  FilmReadOptions read;
  FilmEncodeOptions encode;
  FilmPart part;
  std::optional<double> preview_s = {};
  std::optional<int> plays = {};
  Deinterlace deinterlace = Deinterlace::automatic;
  Fraction rate = {0, 1};
  double segment_s = 10;
  bool every_frame = false;  ///< run duplicates, too
  bool hwaccel = true;
};

/// Makes the film; returns the exit code. What ends the work is thrown.
int run_video(const VideoOptions& options, const std::stop_token& stop);

}  // namespace upres
