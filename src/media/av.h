// SPDX-License-Identifier: Apache-2.0
// What reading and writing films share of FFmpeg's libraries. Included by media/ only.
#pragma once

// The types of CUDA's that libav shares; its own header is then not needed.
#define CUDA_VERSION 0
using CUcontext = struct CUctx_st*;
using CUstream = struct CUstream_st*;

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/cpu.h>
#include <libavutil/dict.h>
#include <libavutil/display.h>
#include <libavutil/hwcontext.h>
#include <libavutil/hwcontext_cuda.h>
#include <libavutil/imgutils.h>
#include <libavutil/mastering_display_metadata.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

#include <memory>
#include <string>

#include "base/error.h"
#include "media/film_frame.h"

namespace upres {

struct AvDelete {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVCodecContext* context) const { avcodec_free_context(&context); }
  void operator()(AVFormatContext* input) const { avformat_close_input(&input); }
  void operator()(AVBufferRef* buffer) const { av_buffer_unref(&buffer); }
  void operator()(AVCodecParameters* parameters) const { avcodec_parameters_free(&parameters); }
};
/// One of libav's objects; move-only. An AVFormatContext of it is an input's.
template <typename T>
using Av = std::unique_ptr<T, AvDelete>;

/// Options by name, as libav's functions take them and leave those that they do not know.
class AvOptions {
 public:
  AvOptions() = default;
  AvOptions(const AvOptions&) = delete;
  AvOptions& operator=(const AvOptions&) = delete;
  ~AvOptions() { av_dict_free(&options_); }
  void set(const char* key, const std::string& value) {
    av_dict_set(&options_, key, value.c_str(), 0);
  }
  bool has(const char* key) const { return av_dict_get(options_, key, nullptr, 0) != nullptr; }
  AVDictionary** get() { return &options_; }
  /// The first one that is left; empty where none is.
  std::string first() const {
    const AVDictionaryEntry* entry = av_dict_get(options_, "", nullptr, AV_DICT_IGNORE_SUFFIX);
    return entry ? entry->key : "";
  }

 private:
  AVDictionary* options_ = nullptr;
};

/// Makes libav silent, once: what it has to say is kept for av_reason().
void start_av();

/// Forgets what was said before, by this thread or any other.
void forget_av_errors();

/// Why a function of libav failed: what it said since forget_av_errors(), or what `error` means.
std::string av_reason(int error);

/// How often a demuxer or a decoder has complained of what it read since the program began, and the
/// last time of what.
int64_t av_complaints();
std::string last_av_complaint();

template <typename T>
T* require(T* object) {
  if (!object) throw std::bad_alloc();
  return object;
}

inline Av<AVFrame> new_av_frame() {
  return Av<AVFrame>(require(av_frame_alloc()));
}
inline Av<AVPacket> new_av_packet() {
  return Av<AVPacket>(require(av_packet_alloc()));
}

inline AVRational rational(const Fraction& fraction) {
  return {fraction.num, fraction.den};
}
inline Fraction fraction(AVRational rational) {
  return {rational.num, rational.den == 0 ? 1 : rational.den};
}

// What newer releases of libav call otherwise.

inline bool is_interlaced(const AVFrame& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
  return (frame.flags & AV_FRAME_FLAG_INTERLACED) != 0;
#else
  return frame.interlaced_frame != 0;
#endif
}
inline bool is_top_field_first(const AVFrame& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
  return (frame.flags & AV_FRAME_FLAG_TOP_FIELD_FIRST) != 0;
#else
  return frame.top_field_first != 0;
#endif
}
inline void set_progressive(AVFrame& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
  frame.flags &= ~(AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST);
#else
  frame.interlaced_frame = 0;
  frame.top_field_first = 0;
#endif
}
inline int64_t& duration_of(AVFrame& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
  return frame.duration;
#else
  return frame.pkt_duration;
#endif
}

/// Side data of a stream: null where there is none of the type.
const uint8_t* side_data_of(const AVStream& stream, AVPacketSideDataType type, size_t* size);
/// Gives a stream side data, which are copied.
void add_side_data(AVStream& stream, AVPacketSideDataType type, const uint8_t* data, size_t size);
/// Copies all of a stream's side data.
void copy_side_data(const AVStream& from, AVStream& to);

}  // namespace upres
