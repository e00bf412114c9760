// SPDX-License-Identifier: Apache-2.0
#include "media/subtitles.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace upres {
namespace {

constexpr AVRational kMilliseconds = {1, 1000};
constexpr size_t kMostBytes = size_t(1) << 20;  // of one encoded subtitle

Av<AVCodecContext> opened(const AVCodec* codec, Av<AVCodecContext> context) {
  if (!codec || avcodec_open2(context.get(), codec, nullptr) < 0) return nullptr;
  return context;
}

}  // namespace

SubtitleConverter::SubtitleConverter(const AVStream& from, AVCodecID to)
    : time_base_(from.time_base) {
  const AVCodec* decoder = avcodec_find_decoder(from.codecpar->codec_id);
  Av<AVCodecContext> decoding(require(avcodec_alloc_context3(decoder)));
  avcodec_parameters_to_context(decoding.get(), from.codecpar);
  decoding->pkt_timebase = from.time_base;
  decoder_ = opened(decoder, std::move(decoding));
  const AVCodec* encoder = avcodec_find_encoder(to);
  Av<AVCodecContext> encoding(require(avcodec_alloc_context3(encoder)));
  encoding->time_base = kMilliseconds;
  if (decoder_ && decoder_->subtitle_header) {  // the styles; the encoder frees what it is given
    const auto size = size_t(decoder_->subtitle_header_size);
    encoding->subtitle_header = static_cast<uint8_t*>(require(av_mallocz(size + 1)));
    std::memcpy(encoding->subtitle_header, decoder_->subtitle_header, size);
    encoding->subtitle_header_size = int(size);
  }
  encoder_ = decoder_ ? opened(encoder, std::move(encoding)) : nullptr;
  if (!encoder_) {
    fail(ErrorCode::output,
         "the libav at hand cannot make {} of the {} subtitles in stream {}; give "
         "--no-subs, or write .mkv",
         avcodec_get_name(to), avcodec_get_name(from.codecpar->codec_id), from.index);
  }
  parameters_.reset(require(avcodec_parameters_alloc()));
  avcodec_parameters_from_context(parameters_.get(), encoder_.get());
}

Av<AVPacket> SubtitleConverter::convert(const AVPacket& packet) {
  AVSubtitle subtitle{};
  int got = 0;
  Av<AVPacket> copy(require(av_packet_clone(&packet)));
  if (avcodec_decode_subtitle2(decoder_.get(), &subtitle, &got, copy.get()) < 0 || !got) {
    return nullptr;
  }
  const bool shows = subtitle.num_rects > 0;
  std::vector<uint8_t> bytes(kMostBytes);
  // Times stand in the packet; the encoder is to see them as of the subtitle itself.
  const uint32_t begins_ms = subtitle.start_display_time;
  const int64_t length_ms = packet.duration > 0
                                ? av_rescale_q(packet.duration, time_base_, kMilliseconds)
                                : int64_t(subtitle.end_display_time) - begins_ms;
  subtitle.pts = av_rescale_q(packet.pts, time_base_, AV_TIME_BASE_Q);
  subtitle.end_display_time = uint32_t(std::max<int64_t>(0, length_ms));
  subtitle.start_display_time = 0;
  const int size =
      shows ? avcodec_encode_subtitle(encoder_.get(), bytes.data(), int(bytes.size()), &subtitle)
            : 0;
  avsubtitle_free(&subtitle);
  if (size <= 0) return nullptr;
  Av<AVPacket> made = new_av_packet();
  if (av_new_packet(made.get(), size) < 0) throw std::bad_alloc();
  std::memcpy(made->data, bytes.data(), size_t(size));
  made->pts = av_rescale_q(packet.pts, time_base_, kMilliseconds) + begins_ms;
  made->dts = made->pts;
  made->duration = std::max<int64_t>(0, length_ms);
  made->flags = AV_PKT_FLAG_KEY;
  return made;
}

}  // namespace upres
