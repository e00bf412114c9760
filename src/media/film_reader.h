// SPDX-License-Identifier: Apache-2.0
// Films in, through FFmpeg's libraries.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "media/film_frame.h"

struct AVCodec;

namespace upres {

struct FilmReadOptions {
  /// The demuxer, as libav calls it, for input that does not tell what it is; empty: found out.
  std::string format = {};
  /// Options of the demuxer: what raw video needs (video_size, pixel_format, framerate).
  std::vector<std::pair<std::string, std::string>> demuxer_options = {};
  /// Which streams count, by libav's stream specifiers ("v:1", "a", "s:0"); none: all.
  std::vector<std::string> map = {};
  bool audio = true;
  bool subtitles = true;
  int64_t max_pixels = int64_t(1) << 30;
  int threads = 0;  ///< of the decoder; 0: one per processor
  /// The GPU that decodes, where it can: frames then are in its memory.
  std::optional<GpuShare> gpu = {};
};

/// What was wrong with a film, so far.
struct FilmDamage {
  int64_t packets = 0;         ///< that could not be read or decoded, and were left out
  bool cut_off = false;        ///< the file ends before its time
  std::string complaint = {};  ///< what libav said of the last thing that was wrong; empty: nothing
  bool any() const { return packets > 0 || cut_off || !complaint.empty(); }
};

/// A film that is read from its start to its end: any container, codec or image sequence that libav
/// reads, or a file of animated WebP; "-" is stdin. Used by one thread.
class FilmReader {
 public:
  /// Opens and decodes the first frame. Error{input} with a reason where that does not work out.
  FilmReader(const std::string& path, const FilmReadOptions& options);
  FilmReader(FilmReader&&) noexcept;
  ~FilmReader();

  const FilmInfo& info() const { return info_; }
  /// The film's first frame, which read() gives, too. Only before read().
  const FilmFrame& first() const;
  /// Goes on shortly before a time, in seconds from the first frame on, without decoding all that
  /// is before it, where the film's container finds the way there; else nothing changes. Only
  /// before read(), and after first().
  void skip_before(double seconds);
  /// The next frame in the order of time; none at the end. Times rise from frame to frame.
  std::optional<FilmFrame> read();

  FilmDamage damage() const;
  /// "h264 (NVDEC)": what decodes.
  std::string decoder() const;
  /// What the user should know of how it is read; each once.
  const std::vector<std::string>& notices() const { return notices_; }

  /// Gets the packets of all other streams that count, as they are met while frames are read.
  void take_others(std::function<void(const AVPacket&)> taker);
  /// Reads past the frames, to the next packet of another stream; false at the end. Where this is
  /// used, frames are not read.
  bool read_other(AVPacket& packet);

  struct Lav;
  /// libav's side of it, for what copies streams.
  const Lav& av() const { return *av_; }

 private:
  FilmFrame wrap(std::unique_ptr<AVFrame, struct AvDelete> frame);
  bool decode(AVFrame& frame);
  bool decode_webp(AVFrame& frame);
  bool feed_decoder();
  void open_container(const FilmReadOptions& options);
  void open_webp(const FilmReadOptions& options);
  void open_decoder(const FilmReadOptions& options);
  void start_decoder(const AVCodec& codec);
  bool seek(int64_t time, int64_t last_to_drop);
  bool falls_back(const AVFrame* frame);
  void learn(const AVFrame& first);

  std::string path_;
  FilmReadOptions options_;
  std::unique_ptr<Lav> av_;
  FilmInfo info_;
  FilmDamage damage_;
  std::vector<std::string> notices_;
  std::optional<FilmFrame> first_;  ///< decoded when the film was opened
  int64_t complaints_before_ = 0;   ///< of other films, or of what is before the first frame
  int64_t last_pts_ = 0;
  bool has_last_ = false;
};

}  // namespace upres
