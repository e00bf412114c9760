// SPDX-License-Identifier: Apache-2.0
// Films out: encoded pictures, and all else that the source has, in a container.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "media/film_encoder.h"
#include "media/film_reader.h"

namespace upres {

/// The container that a name asks for ("film.mkv", "frames/%06d.png"), or `format` (an extension,
/// or libav's name of it); as libav calls it. Error{output} where there is none.
std::string film_container(const std::string& path, const std::string& format);

/// Whether the name stands for many files ("frames/%06d.png").
bool is_sequence(const std::string& path);

/// Whether a container says how often it is shown.
bool holds_plays(const std::string& container);

/// The usual container for a result of a film that was read from `path`, by its extension: ".mp4".
std::string usual_extension(const std::string& path, const FilmInfo& film);

/// The part of a film that is kept. Times are in seconds from the film's first frame on.
struct FilmPart {
  double start_s = 0;
  std::optional<double> end_s = {};
  bool whole() const { return start_s <= 0 && !end_s; }
};

struct FilmTarget {
  std::string path;       ///< "-": stdout
  std::string container;  ///< film_container()
  Existing existing = Existing::refuse;
  FilmPart part;
  /// How often an animated picture is shown, 0: for ever; none: as often as the source.
  std::optional<int> plays = {};
};

/// Writes a film. It is there whole after finish(), or not at all; a sequence's files are each.
/// Used by one thread at a time.
class FilmMuxer {
 public:
  /// Error{output} where the container does not hold such a film. `source` outlives it.
  FilmMuxer(const FilmTarget& target, const FilmReader& source, const FilmEncoding& encoding,
            const AVCodecParameters& parameters, const FilmFrame& first);
  FilmMuxer(const FilmMuxer&) = delete;
  FilmMuxer& operator=(const FilmMuxer&) = delete;
  ~FilmMuxer();

  /// What it does not hold of the film, a sentence each: to be told before any work is done.
  static std::vector<std::string> losses(const FilmTarget& target, const FilmReader& source,
                                         const FilmEncoding& encoding);

  /// Takes the next encoded picture, in the order of decoding.
  void write_video(const FilmPacket& packet);
  /// Takes a packet of another stream of the source.
  void write_other(const AVPacket& packet);
  void finish();

  /// Bytes written so far.
  int64_t bytes() const;

 private:
  struct Output;
  std::unique_ptr<Output> output_;
};

/// The times between which packets pass, in the order of decoding: writes a film of `video`, packet
/// by packet as `next_video` gives them, with the other streams of `others`, a film that is read
/// anew.
void join_streams(FilmMuxer& muxer, FilmReader& others, Fraction video_time_base,
                  const std::function<std::optional<FilmPacket>()>& next_video);

}  // namespace upres
