// SPDX-License-Identifier: Apache-2.0
// What libav knows of a film that is read. Included by media/ only.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "media/av.h"
#include "media/film_reader.h"
#include "media/webp_reader.h"

namespace upres {

struct FilmReader::Lav {
  Av<AVFormatContext> format;
  Av<AVCodecContext> decoder;
  /// What reads in the place of libav, whose side then only describes the film's one stream.
  std::unique_ptr<WebpReader> webp;
  size_t webp_passed = 0;  ///< frames of it before webp_time
  int64_t webp_time = 0;   ///< of the frame that was read last
  Av<AVBufferRef> device;  ///< a GPU that decodes; null: none
  bool proved = false;     ///< a frame has come from there
  /// Frames in its memory that are in use outside of the reader.
  std::shared_ptr<std::atomic<int>> given_out = std::make_shared<std::atomic<int>>(0);
  /// What it was given before that, to be given to the processor where it does not take the film.
  std::deque<Av<AVPacket>> given, again;
  Av<AVPacket> packet;
  int video = -1;            ///< the stream that is decoded
  std::vector<bool> counts;  ///< of each stream: whether the user wants it
  bool flushed = false;      ///< the decoder was told that there is no more
  std::function<void(const AVPacket&)> taker;
  std::vector<Av<AVPacket>> early;  ///< for the taker, met before the first frame

  AVStream& stream() const { return *format->streams[video]; }
  /// Whether times are those of a broadcast's clock.
  bool has_clock() const {
    return format->iformat && (format->iformat->flags & AVFMT_TS_DISCONT) != 0;
  }
  AVPixelFormat pixels_of(const AVFrame& frame) const;
};

}  // namespace upres
