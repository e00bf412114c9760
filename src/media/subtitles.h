// SPDX-License-Identifier: Apache-2.0
// Text subtitles of one kind made into another. Included by media/ only.
#pragma once

#include "media/av.h"

namespace upres {

/// Converts the packets of one stream. Move-only.
class SubtitleConverter {
 public:
  /// Error{output} where libav cannot convert the one into the other.
  SubtitleConverter(const AVStream& from, AVCodecID to);

  /// What the result's stream is to say of itself.
  const AVCodecParameters& parameters() const { return *parameters_; }
  /// The packet as one of the other kind, in milliseconds; null where it shows nothing. Packets
  /// that cannot be read are taken for empty.
  Av<AVPacket> convert(const AVPacket& packet);

 private:
  Av<AVCodecContext> decoder_;
  Av<AVCodecContext> encoder_;
  Av<AVCodecParameters> parameters_;
  AVRational time_base_;
};

}  // namespace upres
