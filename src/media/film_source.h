// SPDX-License-Identifier: Apache-2.0
// What libav knows of a film that is read. Included by media/ only.
#pragma once

#include <functional>
#include <vector>

#include "media/av.h"
#include "media/film_reader.h"

namespace upres {

struct FilmReader::Lav {
  Av<AVFormatContext> format;
  Av<AVCodecContext> decoder;
  Av<AVBufferRef> device;  ///< a GPU that decodes; null: none
  Av<AVPacket> packet;
  int video = -1;            ///< the stream that is decoded
  std::vector<bool> counts;  ///< of each stream: whether the user wants it
  bool flushed = false;      ///< the decoder was told that there is no more
  std::function<void(const AVPacket&)> taker;
  std::vector<Av<AVPacket>> early;  ///< for the taker, met before the first frame

  AVStream& stream() const { return *format->streams[video]; }
};

}  // namespace upres
