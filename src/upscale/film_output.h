// SPDX-License-Identifier: Apache-2.0
// Where the frames of a film that is made go: into segments beside the output, which are joined
// when all are there; or straight into a pipe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "media/film_encoder.h"
#include "media/film_muxer.h"
#include "media/packet_file.h"
#include "upscale/film_stream.h"
#include "upscale/journal.h"

namespace upres {

/// Encodes in segments: each by an encoder of its own, from its first frame on, which can be
/// decoded by itself. A segment begins with the first frame at or after each multiple of the
/// length, as the source's times have it, so that the same film gives the same segments wherever a
/// run began.
class SegmentedOutput : public FilmSink {
 public:
  /// `length_s` > 0; `start`: time of the film's first frame. The journal outlives it.
  SegmentedOutput(FilmEncoding encoding, Journal& journal, double length_s, int64_t start);

  FilmLayout layout() const override { return encoding_.layout(); }
  FilmFrame frame(const FilmFrame& source, std::shared_ptr<std::byte> samples) override;
  void put(const FilmFrame& made) override;
  /// Ends the last segment.
  void finish();

 private:
  int64_t segment_of(int64_t pts) const;
  FilmEncoder& encoder_for(const FilmFrame& source);
  void end_segment();
  void take(const FilmPacket& packet);

  FilmEncoding encoding_;
  Journal& journal_;
  double length_;  ///< in units of the time base
  int64_t start_;
  PacketFileWriter packets_;
  std::unique_ptr<FilmEncoder> encoder_;  ///< of the present segment
  int64_t segment_ = 0;
  std::vector<int64_t> shown_;    ///< times of the segment's frames, in order
  std::vector<int64_t> decoded_;  ///< times of its packets, in theirs
};

/// Hands out the pictures of all segments of a journal, in the order of decoding, with times of
/// decoding that rise through all of them: those of showing, as many frames late as frames are out
/// of order.
class JoinedSegments {
 public:
  explicit JoinedSegments(const Journal& journal);
  std::optional<FilmPacket> next();

 private:
  void read_segment();

  const Journal& journal_;
  PacketFileReader packets_;
  int64_t reorder_ = 0;  ///< of all segments
  size_t segment_ = 0;   ///< the next one to be read
  std::vector<FilmPacket> read_;
  size_t given_ = 0;           ///< of those
  std::vector<int64_t> last_;  ///< the last times of showing before them, `reorder_` of them
};

/// One encoder, whose packets go straight to where the film is written.
class DirectOutput : public FilmSink {
 public:
  DirectOutput(FilmEncoding encoding, FilmEncoder& encoder,
               std::function<void(const FilmPacket&)> put)
      : encoding_(std::move(encoding)), encoder_(encoder), put_(std::move(put)) {}
  FilmLayout layout() const override { return encoding_.layout(); }
  FilmFrame frame(const FilmFrame& source, std::shared_ptr<std::byte> samples) override {
    return encoder_.frame(source, std::move(samples));
  }
  void put(const FilmFrame& made) override { encoder_.encode(made, put_); }
  void finish() { encoder_.finish(put_); }

 private:
  FilmEncoding encoding_;
  FilmEncoder& encoder_;
  std::function<void(const FilmPacket&)> put_;
};

}  // namespace upres
