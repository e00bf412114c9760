// SPDX-License-Identifier: Apache-2.0
// A film's pictures encoded, through FFmpeg's libraries.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "media/film_frame.h"

struct AVCodecParameters;
struct AVFrame;

namespace upres {

struct GifPicture;

/// What the user asks of the encoder.
struct FilmEncodeOptions {
  std::string codec = {};          ///< as libav calls it; empty: the container's usual one
  std::optional<double> crf = {};  ///< constant quality, in the encoder's own scale
  std::string preset = {};
  std::string pixel_format = {};  ///< empty: the one that loses least of the source
  std::vector<std::pair<std::string, std::string>> options = {};
};

/// How a film is encoded: all that decides over the bytes.
struct FilmEncoding {
  std::string codec;
  std::vector<std::pair<std::string, std::string>> options;  ///< of the encoder, defaults too
  std::string pixel_format;
  FilmFormat format;  ///< of the frames that it takes
  FilmColour colour;
  Fraction time_base;
  Fraction frame_rate;               ///< nominal, for rate control; 0/1: not known
  Fraction pixel_aspect;             ///< 0/1: not known
  int threads = 0;                   ///< which some encoders' bytes depend on
  bool global_header = false;        ///< as the container wants it
  std::vector<std::string> notices;  ///< what is lost, a sentence each

  /// One of its frames in a block of memory, rows at multiples of 64 bytes.
  FilmLayout layout() const;

  /// The shape that the encoder takes: even sides where it asks for them.
  static Size fitting(const std::string& codec, const FilmFormat& layout, Size size);
};

/// Decides how a film becomes one of `size` pixels in a container (as libav calls it: "matroska").
/// Error{usage} or Error{output} where what is asked for does not work out.
FilmEncoding plan_encoding(const FilmInfo& source, Size size, const std::string& container,
                           const FilmEncodeOptions& options, int threads);

/// The encoder for files of one picture each, by their names: "mjpeg" for "frames/%06d.jpg"; empty
/// where upres knows none.
std::string picture_codec(const std::string& path);

/// The encoders of pictures that this libav has, of those that upres is made for.
std::vector<std::string> film_encoders();

/// The encoder on the processor that makes what one on a GPU does ("hevc_nvenc": "libx265"); empty
/// for all others.
std::string encoder_without_gpu(const std::string& codec);

/// What reads and writes films: "libavformat 59.27.100, libavcodec 59.37.100".
std::string film_library();

/// An encoded picture. Times are in the encoding's time base.
struct FilmPacket {
  std::shared_ptr<AVPacket> av;
  int64_t pts = 0;
  int64_t dts = 0;
};

/// Encodes frames from a first one, which can be decoded by itself, to a last one. The same frames
/// give the same bytes. Used by one thread.
class FilmEncoder {
 public:
  /// Error{output} where the encoder refuses. `like`: a frame of the source, whose light levels are
  /// kept.
  FilmEncoder(const FilmEncoding& encoding, const FilmFrame& like);
  FilmEncoder(FilmEncoder&&) noexcept;
  ~FilmEncoder();

  /// A frame to be encoded, with the times of `source` and what it says of itself. Its samples are
  /// there, laid out as by the encoding, and are not written to.
  FilmFrame frame(const FilmFrame& source, std::shared_ptr<std::byte> samples) const;
  /// Takes the next frame, and hands out what is encoded.
  void encode(const FilmFrame& frame, const std::function<void(FilmPacket)>& put);
  /// Hands out the rest; no frame follows.
  void finish(const std::function<void(FilmPacket)>& put);

  /// What a decoder needs to know beforehand.
  const AVCodecParameters& parameters() const;

 private:
  struct Lav;
  void receive(const std::function<void(FilmPacket)>& put);
  void send(const AVFrame* frame, const std::function<void(FilmPacket)>& put);
  void send_gif(const std::optional<GifPicture>& picture,
                const std::function<void(FilmPacket)>& put);
  void add_last_delay(AVPacket& film) const;
  void describe(AVFrame& frame, const FilmFrame& source) const;
  FilmEncoding encoding_;
  std::unique_ptr<Lav> av_;
  std::map<int64_t, int64_t> durations_;  ///< by the times of frames that are not out yet
  int64_t first_ = 0;                     ///< time of the first frame
  int64_t end_ = INT64_MIN;               ///< when the last one's ends; no frame yet: INT64_MIN
};

}  // namespace upres
