// SPDX-License-Identifier: Apache-2.0
#include "media/film_reader.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "media/animation.h"
#include "media/film_pixels.h"
#include "media/film_source.h"

namespace upres {
namespace {

// What libav may look at to find out what a file is made of; its own limits miss subtitles and late
// streams of long films.
constexpr const char* kProbeBytes = "50000000";
constexpr const char* kProbeMicroseconds = "10000000";

// Frames that are on their way between a GPU's decoder and the network, beyond what it keeps for
// itself; it has 32 places in all.
constexpr int kFramesOnTheirWay = 10;

// A GPU that has made no frame of so many packets does not take the film.
constexpr size_t kMostUnproved = 300;

// Before a part of a film so much is looked for a picture to begin with, and so much is kept for
// what looks at neighbours.
constexpr double kSeekMarginS = 5;
constexpr double kDropMarginS = 1;

std::string url_of(const std::string& path) {
  if (path == "-") return "pipe:0";
  return path.find(':') == std::string::npos ? path : "file:" + path;  // no protocol's name
}

bool is_picture_kept(const AVStream& stream) {
  return (stream.disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS)) !=
         0;
}

bool matches(AVFormatContext* format, AVStream* stream, const std::string& specifier) {
  const int result = avformat_match_stream_specifier(format, stream, specifier.c_str());
  if (result < 0) {
    fail(ErrorCode::usage,
         "--map {} is no stream: give v, a or s, with :N for one of them, or a "
         "stream's number",
         specifier);
  }
  return result > 0;
}

/// Which streams the user wants.
std::vector<bool> wanted(AVFormatContext* format, const FilmReadOptions& options) {
  std::vector<bool> counts(format->nb_streams, options.map.empty());
  for (const std::string& specifier : options.map) {
    bool found = false;
    for (unsigned i = 0; i < format->nb_streams; ++i) {
      if (!matches(format, format->streams[i], specifier)) continue;
      counts[i] = true;
      found = true;
    }
    if (!found) fail(ErrorCode::usage, "--map {} is none of the film's streams", specifier);
  }
  for (unsigned i = 0; i < format->nb_streams; ++i) {
    const AVMediaType type = format->streams[i]->codecpar->codec_type;
    if (type == AVMEDIA_TYPE_AUDIO && !options.audio) counts[i] = false;
    if (type == AVMEDIA_TYPE_SUBTITLE && !options.subtitles) counts[i] = false;
  }
  return counts;
}

/// The stream of pictures that is upscaled: of those that count the one that libav would show.
int choose_video(AVFormatContext* format, const std::vector<bool>& counts) {
  const int best = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (best >= 0 && counts[size_t(best)] && !is_picture_kept(*format->streams[best])) return best;
  for (unsigned i = 0; i < format->nb_streams; ++i) {
    const AVStream& stream = *format->streams[i];
    if (counts[i] && stream.codecpar->codec_type == AVMEDIA_TYPE_VIDEO &&
        !is_picture_kept(stream)) {
      return int(i);
    }
  }
  return -1;
}

AVPixelFormat choose_gpu_format(AVCodecContext* context, const AVPixelFormat* offered) {
  for (const AVPixelFormat* one = offered; *one != AV_PIX_FMT_NONE; ++one) {
    if (*one == AV_PIX_FMT_CUDA) return *one;
  }
  return avcodec_default_get_format(context, offered);  // the GPU has no decoder for the stream
}

bool decodes_on_gpus(const AVCodec& codec) {
  for (int i = 0;; ++i) {
    const AVCodecHWConfig* config = avcodec_get_hw_config(&codec, i);
    if (!config) return false;
    if (config->device_type == AV_HWDEVICE_TYPE_CUDA &&
        (config->methods & AV_CODEC_HW_CONFIG_METHOD_HW_DEVICE_CTX) != 0) {
      return true;
    }
  }
}

/// The decoder that leaves frames in a GPU's memory, which may be another one than that for the
/// processor (AV1); null where there is none.
const AVCodec* gpu_decoder(AVCodecID id) {
  void* place = nullptr;
  while (const AVCodec* codec = av_codec_iterate(&place)) {
    const bool is_wrapper = (codec->capabilities & AV_CODEC_CAP_HARDWARE) != 0;
    if (codec->id == id && av_codec_is_decoder(codec) && !is_wrapper && decodes_on_gpus(*codec)) {
      return codec;
    }
  }
  return nullptr;
}

/// The GPU as libav's; null, and why not, where it cannot be used.
Av<AVBufferRef> share(const GpuShare& gpu, int* error) {
  Av<AVBufferRef> device(av_hwdevice_ctx_alloc(AV_HWDEVICE_TYPE_CUDA));
  *error = AVERROR(ENOSYS);  // a libav without CUDA
  if (!device) return nullptr;
  auto* context = reinterpret_cast<AVHWDeviceContext*>(device->data);
  auto* cuda = static_cast<AVCUDADeviceContext*>(context->hwctx);
  cuda->cuda_ctx = static_cast<CUcontext>(gpu.context);
  cuda->stream = static_cast<CUstream>(gpu.stream);
  *error = av_hwdevice_ctx_init(device.get());
  return *error < 0 ? nullptr : std::move(device);
}

/// A frame of a GPU's in the host's memory.
Av<AVFrame> copied_from_gpu(const AVFrame& frame) {
  Av<AVFrame> host = new_av_frame();
  if (const int error = av_hwframe_transfer_data(host.get(), &frame, 0); error < 0) {
    fail(ErrorCode::device, "cannot copy a frame from the GPU: {}; give --hwaccel none",
         av_reason(error));
  }
  if (av_frame_copy_props(host.get(), &frame) < 0) throw std::bad_alloc();
  return host;
}

/// How long a WebP's frame is shown. One without a delay as browsers show it, and libav a GIF's.
int64_t shown_ms(const WebpFrame& frame) {
  return frame.delay_ms > 0 ? frame.delay_ms : 100;
}

int64_t count_frames(const AVStream& stream, double duration_s, double rate) {
  if (stream.nb_frames > 0) return stream.nb_frames;
  return duration_s > 0 && rate > 0 ? std::llround(duration_s * rate) : 0;
}

}  // namespace

FilmFrame frame_like(const FilmFrame& frame) {
  FilmFrame made = frame;
  Av<AVFrame> av = new_av_frame();
  av->format = frame.av->format;
  av->width = frame.av->width;
  av->height = frame.av->height;
  if (av_frame_get_buffer(av.get(), 0) < 0 || av_frame_copy_props(av.get(), frame.av.get()) < 0) {
    throw std::bad_alloc();
  }
  made.view = view_of(*av, frame.view.format);
  made.av = std::move(av);
  return made;
}

FilmFrame in_host_memory(const FilmFrame& frame) {
  if (frame.view.memory != MemoryKind::device) return frame;
  FilmFrame made = frame;
  Av<AVFrame> host = copied_from_gpu(*frame.av);
  made.view = view_of(*host, frame.view.format);
  made.av = std::move(host);
  return made;
}

FilmFrame without_samples(const FilmFrame& frame) {
  FilmFrame made = frame;
  made.view = {.format = frame.view.format};
  if (!frame.av) return made;
  Av<AVFrame> av = new_av_frame();
  if (av_frame_copy_props(av.get(), frame.av.get()) < 0) throw std::bad_alloc();
  av->width = frame.av->width;
  av->height = frame.av->height;
  made.av = std::move(av);
  return made;
}

FilmReader::FilmReader(FilmReader&&) noexcept = default;
FilmReader::~FilmReader() = default;

FilmReader::FilmReader(const std::string& path, const FilmReadOptions& options)
    : path_(path), options_(options), av_(std::make_unique<Lav>()) {
  start_av();
  forget_av_errors();
  const bool may_be_webp = path != "-" && options.format.empty();
  if (may_be_webp) av_->webp = WebpReader::open(path, options.max_pixels);
  if (av_->webp) {
    open_webp(options);
  } else {
    open_container(options);
  }
  Av<AVFrame> first = new_av_frame();
  if (!decode(*first)) {
    const bool piped_webp = path == "-" && av_->stream().codecpar->codec_id == AV_CODEC_ID_WEBP;
    if (piped_webp) fail(ErrorCode::input, "animated WebP is read from a file, not from a pipe");
    fail(ErrorCode::input, "there is not one frame in {} that can be decoded: {}", path,
         av_->webp ? av_->webp->reason() : av_reason(AVERROR_INVALIDDATA));
  }
  learn(*first);
  first_ = wrap(std::move(first));
  info_.start = first_->pts;
  // A broadcast that is cut out somewhere begins with what needs earlier pictures: no damage.
  const bool broadcast = av_->has_clock();
  if (broadcast) damage_.packets = 0;
  if (broadcast || damage_.packets == 0) complaints_before_ = av_complaints();
}

void FilmReader::open_container(const FilmReadOptions& options) {
  const AVInputFormat* demuxer = nullptr;
  if (!options.format.empty()) {
    demuxer = av_find_input_format(options.format.c_str());
    if (!demuxer) {
      fail(ErrorCode::usage, "--input-format {} is none that libav reads; see ffmpeg -demuxers",
           options.format);
    }
  }
  AvOptions settings;
  for (const auto& [key, value] : options.demuxer_options) settings.set(key.c_str(), value);
  if (!settings.has("probesize")) settings.set("probesize", kProbeBytes);
  if (!settings.has("analyzeduration")) settings.set("analyzeduration", kProbeMicroseconds);
  AVFormatContext* opened = nullptr;
  const int error = avformat_open_input(&opened, url_of(path_).c_str(), demuxer, settings.get());
  av_->format.reset(opened);
  if (error == AVERROR(ENOENT)) {
    fail(ErrorCode::input, "cannot open {}: {}", path_, std::strerror(ENOENT));
  }
  if (error < 0) fail(ErrorCode::input, "cannot read {} as a film: {}", path_, av_reason(error));
  if (const std::string unknown = settings.first(); !unknown.empty()) {
    fail(ErrorCode::usage, "the {} reader has no option {}", opened->iformat->name, unknown);
  }
  opened->flags |= AVFMT_FLAG_GENPTS;
  if (const int found = avformat_find_stream_info(opened, nullptr); found < 0) {
    fail(ErrorCode::input, "cannot read {} as a film: {}", path_, av_reason(found));
  }
  av_->counts = wanted(opened, options);
  av_->video = choose_video(opened, av_->counts);
  if (av_->video < 0) {
    fail(ErrorCode::input, "there are no moving pictures in {}; upres video upscales films", path_);
  }
  for (unsigned i = 0; i < opened->nb_streams; ++i) {
    if (!av_->counts[i] && int(i) != av_->video) opened->streams[i]->discard = AVDISCARD_ALL;
  }
  open_decoder(options);
  av_->packet = new_av_packet();
}

/// What libav would say of it.
void FilmReader::open_webp(const FilmReadOptions& options) {
  if (!options.demuxer_options.empty()) {
    fail(ErrorCode::usage, "the webp reader has no option {}",
         options.demuxer_options.front().first);
  }
  const WebpAnimation& webp = av_->webp->animation();
  av_->format.reset(require(avformat_alloc_context()));
  AVStream& stream = *require(avformat_new_stream(av_->format.get(), nullptr));
  stream.codecpar->codec_type = AVMEDIA_TYPE_VIDEO;
  stream.codecpar->codec_id = AV_CODEC_ID_WEBP;
  stream.codecpar->width = webp.size.width;
  stream.codecpar->height = webp.size.height;
  stream.time_base = {1, 1000};
  stream.start_time = 0;
  stream.nb_frames = int64_t(webp.frames.size());
  stream.duration = 0;
  for (const WebpFrame& frame : webp.frames) stream.duration += shown_ms(frame);
  av_reduce(&stream.avg_frame_rate.num, &stream.avg_frame_rate.den, stream.nb_frames * 1000,
            stream.duration, INT32_MAX);
  av_->counts = wanted(av_->format.get(), options);
  av_->video = choose_video(av_->format.get(), av_->counts);
  if (av_->video < 0) {
    fail(ErrorCode::input, "there are no moving pictures in {}; upres video upscales films", path_);
  }
}

void FilmReader::open_decoder(const FilmReadOptions& options) {
  const AVStream& stream = av_->stream();
  const AVCodecParameters& parameters = *stream.codecpar;
  size_t size = 0;
  if (side_data_of(stream, AV_PKT_DATA_ENCRYPTION_INIT_INFO, &size) ||
      parameters.codec_tag == MKTAG('e', 'n', 'c', 'v')) {
    fail(ErrorCode::input, "{} is encrypted; upres reads what is not", path_);
  }
  const AVCodec* codec = avcodec_find_decoder(parameters.codec_id);
  if (!codec) {
    const AVCodecDescriptor* known = avcodec_descriptor_get(parameters.codec_id);
    char tag[AV_FOURCC_MAX_STRING_SIZE] = "";
    av_fourcc_make_string(tag, parameters.codec_tag);
    fail(ErrorCode::input,
         "the pictures in {} are {}, for which the libav at hand has no decoder; "
         "have another program make them H.264 or FFV1 first",
         path_, known ? known->name : tag);
  }
  if (int64_t(parameters.width) * parameters.height > options.max_pixels) {
    fail(ErrorCode::input, "{} claims {}x{} pixels, more than --max-pixels allows", path_,
         parameters.width, parameters.height);
  }
  const AVCodec* on_gpu = options.gpu ? gpu_decoder(parameters.codec_id) : nullptr;
  if (on_gpu) {
    int error = 0;
    forget_av_errors();
    av_->device = share(*options.gpu, &error);
    if (!av_->device) {
      notices_.push_back(fmt::format(
          "decoding on the processor: the GPU cannot be used for it ({})", av_reason(error)));
    }
    forget_av_errors();
  }
  start_decoder(av_->device ? *on_gpu : *codec);
}

void FilmReader::start_decoder(const AVCodec& codec) {
  const AVStream& stream = av_->stream();
  av_->decoder.reset(require(avcodec_alloc_context3(&codec)));
  AVCodecContext& decoder = *av_->decoder;
  if (avcodec_parameters_to_context(&decoder, stream.codecpar) < 0) throw std::bad_alloc();
  decoder.pkt_timebase = stream.time_base;
  decoder.thread_count = options_.threads;
  decoder.max_pixels = options_.max_pixels;
  if (av_->device) {
    decoder.hw_device_ctx = require(av_buffer_ref(av_->device.get()));
    decoder.get_format = choose_gpu_format;
    decoder.extra_hw_frames = kFramesOnTheirWay;
    decoder.thread_count = 1;  // each more would take a frame's place
  }
  if (const int error = avcodec_open2(&decoder, &codec, nullptr); error < 0) {
    fail(ErrorCode::input, "cannot decode the pictures in {}: {}", path_, av_reason(error));
  }
}

/// Whether the film is not for the GPU, which was tried: the processor then decodes from the start.
bool FilmReader::falls_back(const AVFrame* frame) {
  if (!av_->device || av_->proved) return false;
  if (frame && frame->format == AV_PIX_FMT_CUDA) {
    av_->proved = true;
    av_->given.clear();
    return false;
  }
  if (!frame && !av_->flushed && av_->given.size() < kMostUnproved) return false;
  notices_.push_back(
      fmt::format("decoding on the processor: the GPU does not decode this film ({})",
                  av_reason(AVERROR_DECODER_NOT_FOUND)));
  forget_av_errors();
  av_->device.reset();
  av_->again = std::exchange(av_->given, {});
  av_->flushed = false;
  damage_ = {};
  start_decoder(*avcodec_find_decoder(av_->stream().codecpar->codec_id));
  return true;
}

void FilmReader::learn(const AVFrame& first) {
  const AVStream& stream = av_->stream();
  Meaning meaning;
  try {
    meaning = meaning_of(first, av_->pixels_of(first), stream.codecpar->codec_id);
  } catch (const Error& error) {
    fail(error.code(), "cannot upscale {}: {}", path_, error.what());
  }
  info_.format = meaning.format;
  info_.colour = meaning.colour;
  info_.guessed_colour = meaning.guessed;
  info_.pixel_format = av_get_pix_fmt_name(av_->pixels_of(first));
  info_.codec = avcodec_get_name(stream.codecpar->codec_id);
  info_.container = av_->webp ? "webp" : av_->format->iformat->name;
  info_.time_base = fraction(stream.time_base);
  info_.frame_rate = fraction(
      stream.avg_frame_rate.num > 0
          ? stream.avg_frame_rate
          : av_guess_frame_rate(av_->format.get(), av_->format->streams[av_->video], nullptr));
  info_.pixel_aspect = fraction(
      av_guess_sample_aspect_ratio(av_->format.get(), av_->format->streams[av_->video], nullptr));
  if (info_.pixel_aspect.num == 0 && first.sample_aspect_ratio.num > 0) {
    info_.pixel_aspect = fraction(first.sample_aspect_ratio);
  }
  if (stream.duration != AV_NOPTS_VALUE && stream.duration > 0) {
    info_.duration_s = double(stream.duration) * av_q2d(stream.time_base);
  } else if (av_->format->duration != AV_NOPTS_VALUE && av_->format->duration > 0) {
    info_.duration_s = double(av_->format->duration) / AV_TIME_BASE;
  }
  info_.frames = count_frames(stream, info_.duration_s, info_.frame_rate.value());
  const AnimationWords words = words_of(path_, info_.container);
  info_.plays = av_->webp ? av_->webp->animation().plays : words.plays;
  damage_.cut_off |= words.cut_off;
}

const FilmFrame& FilmReader::first() const {
  UPRES_ASSERT(first_.has_value(), "the first frame is asked for before it is read");
  return *first_;
}

void FilmReader::skip_before(double seconds) {
  const double unit = info_.time_base.value();
  const auto time = [&](double at_s) { return info_.start + int64_t(std::llround(at_s / unit)); };
  const std::string_view container = info_.container;
  const bool finds_keys = container.starts_with("mov,") || container.starts_with("matroska");
  const AVIOContext* pb = av_->format->pb;
  const bool can_seek = pb && (pb->seekable & AVIO_SEEKABLE_NORMAL) != 0;
  if (!finds_keys || !can_seek || path_ == "-" || seconds <= kSeekMarginS) return;
  if (seek(time(seconds - kSeekMarginS), time(seconds - kDropMarginS))) return;
  FilmReader again(path_, options_);
  av_ = std::move(again.av_);
  first_ = std::move(again.first_);
  damage_ = again.damage_;
  complaints_before_ = again.complaints_before_;
  last_pts_ = again.last_pts_;
}

/// Decodes from the last picture on that needs no others before a time, and drops what there is up
/// to another. False where that does not work out, and the reader is of no further use.
bool FilmReader::seek(int64_t time, int64_t last_to_drop) {
  if (av_seek_frame(av_->format.get(), av_->video, time, AVSEEK_FLAG_BACKWARD) < 0) return false;
  avcodec_flush_buffers(av_->decoder.get());
  av_->flushed = false;
  av_->early.clear();
  first_.reset();
  has_last_ = false;
  for (bool dropped = false;; dropped = true) {
    Av<AVFrame> frame = new_av_frame();
    if (!decode(*frame) || frame->best_effort_timestamp == AV_NOPTS_VALUE) return false;
    FilmFrame made = wrap(std::move(frame));
    if (made.pts <= last_to_drop) continue;
    if (!dropped) return false;
    first_ = std::move(made);
    break;
  }
  // What lacked the pictures before it is no damage.
  damage_ = {};
  complaints_before_ = av_complaints();
  return true;
}

FilmDamage FilmReader::damage() const {
  FilmDamage damage = damage_;
  if (!av_->webp && av_complaints() > complaints_before_) damage.complaint = last_av_complaint();
  return damage;
}

std::string FilmReader::decoder() const {
  return info_.codec + (av_->device ? " (NVDEC)" : "");
}

void FilmReader::take_others(std::function<void(const AVPacket&)> taker) {
  av_->taker = std::move(taker);
  for (const auto& packet : std::exchange(av_->early, {})) av_->taker(*packet);
}

bool FilmReader::read_other(AVPacket& packet) {
  if (!av_->early.empty()) {
    av_packet_unref(&packet);
    av_packet_move_ref(&packet, av_->early.front().get());
    av_->early.erase(av_->early.begin());
    return true;
  }
  while (!av_->webp) {
    av_packet_unref(&packet);
    if (av_read_frame(av_->format.get(), &packet) < 0) return false;
    if (packet.stream_index != av_->video && size_t(packet.stream_index) < av_->counts.size() &&
        av_->counts[size_t(packet.stream_index)]) {
      return true;
    }
  }
  return false;
}

/// Gives the decoder the next packet, or tells it that there is none; false when it was told.
bool FilmReader::feed_decoder() {
  if (av_->flushed) return false;
  AVPacket& packet = *av_->packet;
  for (;;) {
    av_packet_unref(&packet);
    if (!av_->again.empty()) {
      av_packet_move_ref(&packet, av_->again.front().get());
      av_->again.pop_front();
      break;
    }
    const int error = av_read_frame(av_->format.get(), &packet);
    if (error < 0) {
      if (error != AVERROR_EOF) damage_.cut_off = true;
      av_->flushed = true;
      avcodec_send_packet(av_->decoder.get(), nullptr);
      return true;
    }
    if (packet.stream_index == av_->video) break;
    // Streams that show up late have no place in the output.
    const bool known = size_t(packet.stream_index) < av_->counts.size();
    if (!known || !av_->counts[size_t(packet.stream_index)]) continue;
    if (av_->taker) {
      av_->taker(packet);
    } else if (!has_last_) {
      av_->early.emplace_back(require(av_packet_clone(&packet)));
    }
  }
  if (av_packet_get_side_data(&packet, AV_PKT_DATA_ENCRYPTION_INFO, nullptr)) {
    fail(ErrorCode::input,
         "{} is encrypted; decrypt it first, or give its key with --input-option "
         "decryption_key=HEX",
         path_);
  }
  if (av_->device && !av_->proved) av_->given.emplace_back(require(av_packet_clone(&packet)));
  if ((packet.flags & AV_PKT_FLAG_CORRUPT) != 0) ++damage_.packets;
  if (avcodec_send_packet(av_->decoder.get(), &packet) < 0 &&
      (packet.flags & AV_PKT_FLAG_CORRUPT) == 0) {
    ++damage_.packets;
  }
  return true;
}

bool FilmReader::decode_webp(AVFrame& frame) {
  WebpReader& webp = *av_->webp;
  const WebpAnimation& animation = webp.animation();
  frame.format = animation.has_alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24;
  frame.width = animation.size.width;
  frame.height = animation.size.height;
  if (av_frame_get_buffer(&frame, 0) < 0) throw std::bad_alloc();
  const bool is_there = webp.read(frame.data[0], frame.linesize[0]);
  damage_.packets = webp.damaged();
  if (!is_there) {
    damage_.cut_off = animation.cut_off;
    return false;
  }
  // The time of those that were left out passes, too.
  for (; av_->webp_passed < webp.frame(); ++av_->webp_passed) {
    av_->webp_time += shown_ms(animation.frames[av_->webp_passed]);
  }
  frame.pts = av_->webp_time;
  frame.best_effort_timestamp = frame.pts;
  duration_of(frame) = shown_ms(animation.frames[webp.frame()]);
  return true;
}

/// The next frame; false at the end.
bool FilmReader::decode(AVFrame& frame) {
  if (av_->webp) return decode_webp(frame);
  for (;;) {
    av_frame_unref(&frame);
    const int error = avcodec_receive_frame(av_->decoder.get(), &frame);
    if (falls_back(error == 0 ? &frame : nullptr)) continue;
    if (error == 0) break;
    if (error == AVERROR_EOF) return false;
    if (error != AVERROR(EAGAIN)) {
      ++damage_.packets;
      if (av_->flushed) return false;
    }
    if (!feed_decoder()) return false;
  }
  if (frame.format == AV_PIX_FMT_CUDA && (frame.crop_left > 0 || frame.crop_top > 0)) {
    // Which libav leaves to be done where frames are in a GPU's memory.
    Av<AVFrame> host = copied_from_gpu(frame);
    av_frame_apply_cropping(host.get(), AV_FRAME_CROP_UNALIGNED);
    av_frame_unref(&frame);
    av_frame_move_ref(&frame, host.get());
  }
  return true;
}

/// What a frame's samples are by the stream's own words: a GPU stores yuv420p10 as p010.
AVPixelFormat FilmReader::Lav::pixels_of(const AVFrame& frame) const {
  return frame.format == AV_PIX_FMT_CUDA ? decoder->sw_pix_fmt : AVPixelFormat(frame.format);
}

FilmFrame FilmReader::wrap(Av<AVFrame> frame) {
  FilmFrame made;
  // A decoder without places for frames would fail.
  const bool is_full = *av_->given_out >= kFramesOnTheirWay;
  if (frame->format == AV_PIX_FMT_CUDA && is_full) frame = copied_from_gpu(*frame);
  FilmFormat format = info_.format;
  const bool same_kind = format.size == Size{frame->width, frame->height} &&
                         info_.pixel_format == av_get_pix_fmt_name(av_->pixels_of(*frame));
  if (!same_kind) {
    try {
      format = meaning_of(*frame, av_->pixels_of(*frame), av_->stream().codecpar->codec_id).format;
    } catch (const Error& error) {
      fail(error.code(), "cannot upscale {} further: {}", path_, error.what());
    }
  }
  made.view = view_of(*frame, format);
  if (made.view.memory == MemoryKind::device) made.view.gpu = *options_.gpu;
  made.duration = duration_of(*frame);
  made.pts = frame->best_effort_timestamp;
  const int64_t usual =
      info_.frame_rate.num > 0
          ? std::max<int64_t>(
                1, av_rescale_q(1, av_inv_q(rational(info_.frame_rate)), rational(info_.time_base)))
          : 1;
  if (made.pts == AV_NOPTS_VALUE) made.pts = has_last_ ? last_pts_ + usual : 0;
  if (has_last_ && made.pts <= last_pts_) made.pts = last_pts_ + 1;
  has_last_ = true;
  last_pts_ = made.pts;
  if (made.duration <= 0) made.duration = usual;
  made.interlaced = is_interlaced(*frame);
  made.top_field_first = is_top_field_first(*frame);
  if (made.view.memory != MemoryKind::device) {
    made.av = std::move(frame);
    return made;
  }
  ++*av_->given_out;
  made.av = {frame.release(), [count = av_->given_out](AVFrame* one) {
               AvDelete()(one);
               --*count;
             }};
  return made;
}

std::optional<FilmFrame> FilmReader::read() {
  if (!av_->taker) av_->early.clear();
  if (first_) return std::exchange(first_, std::nullopt);
  Av<AVFrame> frame = new_av_frame();
  if (!decode(*frame)) return std::nullopt;
  return wrap(std::move(frame));
}

}  // namespace upres
