// SPDX-License-Identifier: Apache-2.0
#include "media/film_streams.h"

#include <algorithm>
#include <string_view>

namespace upres {
namespace {

bool is_one_of(const AVOutputFormat& container, std::initializer_list<std::string_view> names) {
  return std::ranges::count(names, std::string_view(container.name)) > 0;
}

bool is_mp4(const AVOutputFormat& container) {
  return is_one_of(container, {"mp4", "mov", "ipod", "3gp", "psp"});
}

/// Containers of pictures alone.
bool holds_pictures_only(const AVOutputFormat& container) {
  return is_one_of(container, {"yuv4mpegpipe", "rawvideo", "image2", "apng", "webp", "gif", "ivf",
                               "h264", "hevc", "obu"});
}

bool holds(const AVOutputFormat& container, const AVCodecParameters& stream) {
  const AVMediaType type = stream.codec_type;
  if (is_one_of(container, {"null"})) return true;
  if (type == AVMEDIA_TYPE_ATTACHMENT) return is_one_of(container, {"matroska"});
  if (stream.codec_id == AV_CODEC_ID_NONE || holds_pictures_only(container)) return false;
  if (type == AVMEDIA_TYPE_DATA && !is_one_of(container, {"mpegts"})) return false;
  if (is_one_of(container, {"mpegts"})) {  // which libav has no list of
    return type != AVMEDIA_TYPE_SUBTITLE || stream.codec_id == AV_CODEC_ID_DVB_SUBTITLE ||
           stream.codec_id == AV_CODEC_ID_DVB_TELETEXT ||
           stream.codec_id == AV_CODEC_ID_HDMV_PGS_SUBTITLE;
  }
  if (type == AVMEDIA_TYPE_SUBTITLE && is_mp4(container)) {
    return stream.codec_id == AV_CODEC_ID_MOV_TEXT ||
           (stream.codec_id == AV_CODEC_ID_DVD_SUBTITLE && !is_one_of(container, {"mov"}));
  }
  if (type == AVMEDIA_TYPE_SUBTITLE && is_one_of(container, {"avi"})) return false;
  return avformat_query_codec(&container, stream.codec_id, FF_COMPLIANCE_NORMAL) == 1;
}

/// The kind of text subtitles of a container; AV_CODEC_ID_NONE: it has none.
AVCodecID text_subtitles(const AVOutputFormat& container) {
  if (is_mp4(container)) return AV_CODEC_ID_MOV_TEXT;
  if (is_one_of(container, {"matroska"})) return AV_CODEC_ID_SUBRIP;
  if (is_one_of(container, {"webm"})) return AV_CODEC_ID_WEBVTT;
  return AV_CODEC_ID_NONE;
}

bool is_text(AVCodecID codec) {
  const AVCodecDescriptor* known = avcodec_descriptor_get(codec);
  return known && (known->props & AV_CODEC_PROP_TEXT_SUB) != 0;
}

/// Tracks that hold what muxers make anew: chapters' names and time codes.
bool is_made_anew(const AVFormatContext& source, const AVStream& stream) {
  const uint32_t tag = stream.codecpar->codec_tag;
  return stream.codecpar->codec_type == AVMEDIA_TYPE_DATA &&
         ((source.nb_chapters > 0 && stream.codecpar->codec_id == AV_CODEC_ID_BIN_DATA) ||
          tag == MKTAG('t', 'm', 'c', 'd'));
}

std::string name_of(const AVStream& stream) {
  const AVCodecParameters& parameters = *stream.codecpar;
  const char* type = av_get_media_type_string(parameters.codec_type);
  const bool known = parameters.codec_id != AV_CODEC_ID_NONE;
  return fmt::format("stream {} ({}, {})", stream.index, type ? type : "unknown",
                     known ? avcodec_get_name(parameters.codec_id) : "of an unknown kind");
}

bool is_cover(const AVStream& stream) {
  return (stream.disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
}

}  // namespace

StreamsPlan plan_streams(const FilmReader::Lav& source, const AVOutputFormat& container) {
  StreamsPlan plan;
  using Action = StreamPlan::Action;
  for (unsigned i = 0; i < source.format->nb_streams; ++i) {
    const AVStream& stream = *source.format->streams[i];
    const AVCodecParameters& parameters = *stream.codecpar;
    const int index = int(i);
    if (index == source.video) {
      plan.streams.push_back({index, Action::video});
      continue;
    }
    if (!source.counts[i] || is_made_anew(*source.format, stream)) continue;
    if (is_cover(stream) && is_one_of(container, {"matroska"})) {
      plan.streams.push_back({index, Action::cover});
      continue;
    }
    if (holds(container, parameters)) {
      plan.streams.push_back({index, Action::copy});
      continue;
    }
    const AVCodecID text = text_subtitles(container);
    if (parameters.codec_type == AVMEDIA_TYPE_SUBTITLE && is_text(parameters.codec_id) &&
        text != AV_CODEC_ID_NONE) {
      plan.streams.push_back({index, Action::subtitles, text});
      if (parameters.codec_id == AV_CODEC_ID_ASS && text != AV_CODEC_ID_ASS) {
        plan.notices.push_back(fmt::format("{} becomes {}, which keeps little of its styles",
                                           name_of(stream), avcodec_get_name(text)));
      }
      continue;
    }
    const std::string what =
        fmt::format("{} files do not hold {}", container.name, name_of(stream));
    const bool matters = parameters.codec_type == AVMEDIA_TYPE_AUDIO &&
                         parameters.codec_id != AV_CODEC_ID_NONE && !holds_pictures_only(container);
    if (matters) {
      fail(ErrorCode::output, "{}; write .mkv, or leave the sound out with --no-audio", what);
    }
    plan.notices.push_back(what + ": it is left out");
  }
  return plan;
}

}  // namespace upres
