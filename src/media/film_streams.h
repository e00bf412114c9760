// SPDX-License-Identifier: Apache-2.0
// What becomes of a film's other streams in another container. Included by media/ only.
#pragma once

#include <string>
#include <vector>

#include "media/av.h"
#include "media/film_source.h"

namespace upres {

struct StreamPlan {
  enum class Action {
    video,      ///< the stream that is upscaled
    copy,       ///< packets as they are
    subtitles,  ///< text subtitles of another kind
    cover,      ///< a picture that becomes an attachment
  };
  int index = 0;  ///< in the source
  Action action = Action::copy;
  AVCodecID codec = AV_CODEC_ID_NONE;  ///< of subtitles that are converted
};

struct StreamsPlan {
  std::vector<StreamPlan> streams;   ///< in the order of the source
  std::vector<std::string> notices;  ///< what the container cannot hold, a sentence each
};

/// Error{output} where a container cannot hold the film's sound.
StreamsPlan plan_streams(const FilmReader::Lav& source, const AVOutputFormat& container);

}  // namespace upres
