// SPDX-License-Identifier: Apache-2.0
#include "media/av.h"

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <mutex>

namespace upres {
namespace {

std::mutex said_mutex;
std::string said;  // the first error since it was forgotten: those behind it follow from it
int64_t complaints = 0;
std::string complaint;

/// Whether what speaks reads films.
bool reads(void* context) {
  const AVClass* const* speaker = static_cast<const AVClass* const*>(context);
  if (!speaker || !*speaker) return false;
  const AVClassCategory category =
      (*speaker)->get_category ? (*speaker)->get_category(context) : (*speaker)->category;
  return category == AV_CLASS_CATEGORY_DECODER || category == AV_CLASS_CATEGORY_DEMUXER;
}

void keep_error(void* context, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  std::array<char, 512> line{};
  int prefix = 0;  // not printed
  av_log_format_line2(context, level, format, arguments, line.data(), int(line.size()), &prefix);
  const std::lock_guard lock(said_mutex);
  const std::string text(line.data(), std::strcspn(line.data(), "\n"));
  if (said.empty()) said = text;
  if (!reads(context)) return;
  ++complaints;
  complaint = text;
}

}  // namespace

void start_av() {
  static const bool started = [] {
    av_log_set_callback(keep_error);
    return true;
  }();
  (void)started;
}

void forget_av_errors() {
  const std::lock_guard lock(said_mutex);
  said.clear();
}

std::string av_reason(int error) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(error, text.data(), text.size());
  const std::lock_guard lock(said_mutex);
  return said.empty() ? text.data() : said;
}

int64_t av_complaints() {
  const std::lock_guard lock(said_mutex);
  return complaints;
}

std::string last_av_complaint() {
  const std::lock_guard lock(said_mutex);
  return complaint;
}

const uint8_t* side_data_of(const AVStream& stream, AVPacketSideDataType type, size_t* size) {
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  const AVPacketSideData* found = av_packet_side_data_get(
      stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data, type);
  *size = found ? found->size : 0;
  return found ? found->data : nullptr;
#else
  return av_stream_get_side_data(&stream, type, size);
#endif
}

void add_side_data(AVStream& stream, AVPacketSideDataType type, const uint8_t* data, size_t size) {
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  AVCodecParameters& to = *stream.codecpar;
  AVPacketSideData* made =
      av_packet_side_data_new(&to.coded_side_data, &to.nb_coded_side_data, type, size, 0);
  std::memcpy(require(made)->data, data, size);
#else
  std::memcpy(require(av_stream_new_side_data(&stream, type, size)), data, size);
#endif
}

void copy_side_data(const AVStream& from, AVStream& to) {
#if LIBAVFORMAT_VERSION_MAJOR >= 61
  const AVCodecParameters& all = *from.codecpar;
  for (int i = 0; i < all.nb_coded_side_data; ++i) {
    const AVPacketSideData& one = all.coded_side_data[i];
    add_side_data(to, one.type, one.data, one.size);
  }
#else
  for (int i = 0; i < from.nb_side_data; ++i) {
    const AVPacketSideData& one = from.side_data[i];
    add_side_data(to, one.type, one.data, one.size);
  }
#endif
}

}  // namespace upres
