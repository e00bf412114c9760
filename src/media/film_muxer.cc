// SPDX-License-Identifier: Apache-2.0
#include "media/film_muxer.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <string_view>

#include "media/film_pixels.h"
#include "media/film_source.h"
#include "media/film_streams.h"
#include "media/subtitles.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

// Frames a second: what browsers take at its word.
constexpr double kMostGifRate = 50.5;

bool is_mp4(std::string_view container) {
  return container == "mp4" || container == "mov" || container == "ipod";
}

bool is_matroska(std::string_view container) {
  return container == "matroska" || container == "webm";
}

const AVOutputFormat& muxer_named(const std::string& container) {
  const AVOutputFormat* muxer = av_guess_format(container.c_str(), nullptr, nullptr);
  if (!muxer) fail(ErrorCode::output, "the libav at hand writes no {} files", container);
  return *muxer;
}

/// By how much the source's times are moved, in microseconds: what was cut off before them; the
/// arbitrary clock of broadcasts, where the output has none.
int64_t shift_us(const FilmReader::Lav& source, const AVOutputFormat& container,
                 const FilmPart& part, int64_t first_us) {
  if (part.start_s > 0) return -(first_us + std::llround(part.start_s * AV_TIME_BASE));
  const bool has_clock = std::string_view(container.name) == "mpegts";
  const int64_t start = source.format->start_time;
  return source.has_clock() && !has_clock && start != AV_NOPTS_VALUE ? -start : 0;
}

/// Light levels that only frames tell of, and that containers can say, too.
void add_light_levels(AVStream& stream, const AVFrame& first) {
  const std::pair<AVFrameSideDataType, AVPacketSideDataType> kinds[] = {
      {AV_FRAME_DATA_MASTERING_DISPLAY_METADATA, AV_PKT_DATA_MASTERING_DISPLAY_METADATA},
      {AV_FRAME_DATA_CONTENT_LIGHT_LEVEL, AV_PKT_DATA_CONTENT_LIGHT_LEVEL}};
  for (const auto& [of_frame, of_stream] : kinds) {
    size_t size = 0;
    const AVFrameSideData* data = av_frame_get_side_data(&first, of_frame);
    if (data && !side_data_of(stream, of_stream, &size)) {
      add_side_data(stream, of_stream, data->data, data->size);
    }
  }
}

/// What the source's pictures say beyond their samples, but for what encoders make anew.
void copy_picture_data(const AVStream& from, AVStream& to) {
  constexpr AVPacketSideDataType kKept[] = {
      AV_PKT_DATA_DISPLAYMATRIX,       AV_PKT_DATA_STEREO3D,
      AV_PKT_DATA_SPHERICAL,           AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
      AV_PKT_DATA_CONTENT_LIGHT_LEVEL,
  };
  for (const AVPacketSideDataType type : kKept) {
    size_t size = 0;
    if (const uint8_t* data = side_data_of(from, type, &size)) add_side_data(to, type, data, size);
  }
}

const char* mime_of(AVCodecID codec) {
  return codec == AV_CODEC_ID_PNG ? "image/png" : "image/jpeg";
}

/// Metadata that describe the old file, not the film.
void forget_old_file(AVDictionary** metadata) {
  for (const char* key :
       {"major_brand", "minor_version", "compatible_brands", "encoder", "ENCODER", "DURATION",
        "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS_WRITING_APP",
        "_STATISTICS_WRITING_DATE_UTC", "_STATISTICS_TAGS", "BPS-eng", "DURATION-eng",
        "NUMBER_OF_FRAMES-eng", "NUMBER_OF_BYTES-eng"}) {
    av_dict_set(metadata, key, nullptr, 0);
  }
}

/// Whether there are tags that mp4 files have no place for but that of QuickTime's keys, which not
/// all players look into.
bool has_other_tags(const AVDictionary* metadata) {
  for (const AVDictionaryEntry* tag = nullptr;
       (tag = av_dict_get(metadata, "", tag, AV_DICT_IGNORE_SUFFIX));) {
    if (std::string_view(tag->key).find('.') != std::string_view::npos) return true;
  }
  return false;
}

/// The clock of a movie's edit lists: one that all its tracks' times are whole numbers of, so that
/// none starts late by a part of a millisecond. 0: there is none that fits.
int64_t movie_timescale(const AVFormatContext& output) {
  int64_t common = 1;
  for (unsigned i = 0; i < output.nb_streams; ++i) {
    const AVStream& stream = *output.streams[i];
    const bool sound = stream.codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    const int64_t clock = sound && stream.codecpar->sample_rate > 0 ? stream.codecpar->sample_rate
                          : stream.time_base.num == 1               ? stream.time_base.den
                                                                    : 1;
    common = std::lcm(common, clock);
    if (common > INT32_MAX) return 0;
  }
  return common >= 1000 ? common : common * ((999 + common) / common);
}

/// How often an animated picture is shown, 0: for ever, in the words of libav's muxers.
void set_plays(AvOptions& options, std::string_view muxer, int plays) {
  // GIF's number is that of repetitions, and it has none where there is no repetition.
  if (muxer == "gif" && plays > 0) plays = plays == 1 ? -1 : plays - 1;
  options.set(muxer == "apng" ? "plays" : "loop", std::to_string(plays));
}

/// Frees a muxer's context and what it has opened.
struct CloseOutput {
  void operator()(AVFormatContext* output) const {
    if (output->pb && (output->oformat->flags & AVFMT_NOFILE) == 0) avio_closep(&output->pb);
    avformat_free_context(output);
  }
};

}  // namespace

struct FilmMuxer::Output {
  std::string path;
  std::optional<AtomicFile> file;  ///< none for stdout and sequences
  std::unique_ptr<AVFormatContext, CloseOutput> format;
  int64_t shift = 0;  ///< in microseconds
  int64_t first_us = 0;
  FilmPart part;
  AVStream* video = nullptr;
  AVRational video_time_base{0, 1};
  int64_t last_duration = 0;          ///< of the last picture, in that
  int64_t last_pts = AV_NOPTS_VALUE;  ///< its time, as the muxer was told
  int64_t last_end = 0;               ///< when it ends, in the same units

  /// Of each stream of the source.
  struct Other {
    AVStream* to = nullptr;  ///< null: left out
    AVRational from_base{0, 1};
    std::unique_ptr<SubtitleConverter> subtitles;
  };
  std::vector<Other> others;

  void add_video(const AVStream& from, const FilmEncoding& encoding,
                 const AVCodecParameters& parameters, const AVFrame& first);
  void add_other(const AVStream& from, const StreamPlan& plan);
  void add_chapters(const AVFormatContext& source);
  void write(AVPacket& packet);
  void set_last_delay();
  [[noreturn]] void fail_writing(int error) const {
    fail(ErrorCode::output, "cannot write {}: {}", path, av_reason(error));
  }
};

std::string film_container(const std::string& path, const std::string& format) {
  start_av();
  if (path == "-" && format.empty()) return "yuv4mpegpipe";
  const std::string name = format.empty() ? path : "film." + format;
  const AVOutputFormat* muxer =
      format.empty() ? nullptr : av_guess_format(format.c_str(), nullptr, nullptr);
  if (!muxer && format == "y4m") return "yuv4mpegpipe";
  if (!muxer) muxer = av_guess_format(nullptr, name.c_str(), nullptr);
  // What is named as one picture is a film of one file, unless it numbers its frames.
  if (muxer && std::string_view(muxer->name) == "image2" && !is_sequence(path)) muxer = nullptr;
  if (!muxer || muxer->video_codec == AV_CODEC_ID_NONE) {
    fail(ErrorCode::output,
         "cannot tell what to write from {}; end it in .mp4, .mov, .mkv, .webm or another film's "
         "extension, number its frames (%06d.png), or give -f",
         format.empty() ? "the name " + path : "-f " + format);
  }
  const std::string_view found = muxer->name;
  return found == "ipod" ? "mp4" : std::string(found);
}

bool is_sequence(const std::string& path) {
  return path != "-" && av_filename_number_test(path.c_str()) != 0;
}

bool holds_plays(const std::string& container) {
  return container == "apng" || container == "webp" || container == "gif";
}

std::string usual_extension(const std::string& path, const FilmInfo& film) {
  std::string extension = fs::path(path).extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return char(std::tolower(c)); });
  for (const char* kept : {".mp4", ".m4v", ".mov", ".mkv", ".webm"}) {
    if (extension == kept) return extension;
  }
  if (film.container == "apng") return ".png";
  if (film.container == "gif" || film.container == "webp") return ".webp";
  return ".mkv";
}

std::vector<std::string> FilmMuxer::losses(const FilmTarget& target, const FilmReader& source,
                                           const FilmEncoding& encoding) {
  const AVOutputFormat& muxer = muxer_named(target.container);
  const FilmReader::Lav& av = source.av();
  std::vector<std::string> notices = plan_streams(av, muxer).notices;
  const auto tell = [&](const std::string& what) { notices.push_back(what); };
  const std::string_view name = muxer.name;
  const AVCodec* codec = avcodec_find_encoder_by_name(encoding.codec.c_str());
  if (codec && avformat_query_codec(&muxer, codec->id, FF_COMPLIANCE_UNOFFICIAL) == 0) {
    fail(ErrorCode::output,
         "{} files do not hold what the encoder {} makes; write .mkv, or choose "
         "another one with -c",
         name, encoding.codec);
  }
  const Fraction base = encoding.time_base;
  const bool exact = int64_t(base.num) * 1000 % base.den == 0;
  if (is_matroska(name) && !exact)
    tell(
        "mkv and webm files keep times to the millisecond: frames' times are rounded; mp4 and mov "
        "keep them");
  if (name == "webp" && !exact) {
    tell("WebP files keep times to the millisecond: frames' times are rounded; APNG keeps them");
  }
  if (name == "gif") {
    if (int64_t(base.num) * 100 % base.den != 0) {
      tell("GIF files keep times to 1/100 s: frames' times are rounded; APNG keeps them");
    }
    if (encoding.frame_rate.value() > kMostGifRate) {
      tell(
          "viewers show a GIF's frames of less than 1/50 s for 1/10 s; give --fps 50, or write "
          "WebP or APNG");
    }
  }
  size_t size = 0;
  const bool turned = side_data_of(av.stream(), AV_PKT_DATA_DISPLAYMATRIX, &size) != nullptr;
  if (turned && !is_mp4(name)) {
    tell(fmt::format("{} files do not say how pictures are turned; mp4 and mov do", name));
  }
  if (av.format->nb_chapters > 0 && !is_mp4(name) && !is_matroska(name) && name != "nut") {
    tell(fmt::format("{} files hold no chapters", name));
  }
  if (source.info().plays && !holds_plays(target.container) && name != "null") {
    tell(fmt::format("{} files do not say how often they are shown; WebP, APNG and GIF do", name));
  }
  for (const AVPacketSideDataType type : {AV_PKT_DATA_DOVI_CONF}) {
    if (side_data_of(av.stream(), type, &size)) {
      tell("the Dolby Vision layer is left out: it describes the old pictures");
    }
  }
  return notices;
}

FilmMuxer::FilmMuxer(const FilmTarget& target, const FilmReader& source,
                     const FilmEncoding& encoding, const AVCodecParameters& parameters,
                     const FilmFrame& first)
    : output_(std::make_unique<Output>()) {
  start_av();
  const FilmReader::Lav& av = source.av();
  const AVOutputFormat& muxer = muxer_named(target.container);
  output_->path = target.path;
  output_->part = target.part;
  std::string url = target.path;
  if (target.path == "-") {
    url = "pipe:1";
  } else if (!is_sequence(target.path) && (muxer.flags & AVFMT_NOFILE) == 0) {
    const AtomicFile& file = output_->file.emplace(target.path, target.existing);
    url = fmt::format("file:/proc/self/fd/{}", file.descriptor());
  }
  AVFormatContext* made = nullptr;
  if (avformat_alloc_output_context2(&made, &muxer, nullptr, url.c_str()) < 0) {
    throw std::bad_alloc();
  }
  output_->format.reset(made);
  made->flags |= AVFMT_FLAG_BITEXACT;  // no random numbers: the same film gives the same bytes
  made->max_interleave_delta = 0;      // however late the pictures come, packets go in order
  made->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL;
  // Sound that begins before the pictures does not move them, where times below 0 have a place.
  const bool below_zero = is_mp4(muxer.name) || is_matroska(muxer.name);
  if (below_zero) made->avoid_negative_ts = 0;
  output_->first_us =
      av_rescale_q(source.info().start, rational(source.info().time_base), AV_TIME_BASE_Q);
  output_->shift = shift_us(av, muxer, target.part, output_->first_us);
  output_->others.resize(av.format->nb_streams);
  for (const StreamPlan& plan : plan_streams(av, muxer).streams) {
    const AVStream& from = *av.format->streams[plan.index];
    if (plan.action == StreamPlan::Action::video) {
      output_->add_video(from, encoding, parameters, *first.av);
    } else {
      output_->add_other(from, plan);
    }
  }
  av_dict_copy(&made->metadata, av.format->metadata, 0);
  forget_old_file(&made->metadata);
  output_->add_chapters(*av.format);
  if ((muxer.flags & AVFMT_NOFILE) == 0) {
    if (const int error = avio_open(&made->pb, url.c_str(), AVIO_FLAG_WRITE); error < 0) {
      output_->fail_writing(error);
    }
  }
  AvOptions options;
  if (is_mp4(muxer.name)) {
    const bool more_tags = has_other_tags(made->metadata);
    options.set("movflags", more_tags ? "+faststart+use_metadata_tags" : "+faststart");
    if (const int64_t clock = movie_timescale(*made); clock > 0) {
      options.set("movie_timescale", std::to_string(clock));
    }
  }
  if (holds_plays(muxer.name)) {
    const int plays = target.plays.value_or(source.info().plays.value_or(0));
    set_plays(options, muxer.name, plays);
  }
  if (std::string_view(muxer.name) == "image2") {
    options.set("atomic_writing", "1");
    options.set("start_number", "1");
  }
  forget_av_errors();
  if (const int error = avformat_write_header(made, options.get()); error < 0) {
    fail(ErrorCode::output, "cannot write {} as {}: {}", target.path, muxer.name, av_reason(error));
  }
}

FilmMuxer::~FilmMuxer() = default;

void FilmMuxer::Output::add_video(const AVStream& from, const FilmEncoding& encoding,
                                  const AVCodecParameters& parameters, const AVFrame& first) {
  video = require(avformat_new_stream(format.get(), nullptr));
  video_time_base = rational(encoding.time_base);
  if (avcodec_parameters_copy(video->codecpar, &parameters) < 0) throw std::bad_alloc();
  video->codecpar->codec_tag = 0;
  if (parameters.codec_id == AV_CODEC_ID_HEVC && is_mp4(format->oformat->name)) {
    video->codecpar->codec_tag = MKTAG('h', 'v', 'c', '1');  // the one that all players take
  }
  video->time_base = video_time_base;
  video->sample_aspect_ratio = rational(encoding.pixel_aspect);
  if (encoding.frame_rate.num > 0) video->avg_frame_rate = rational(encoding.frame_rate);
  video->disposition = from.disposition;
  av_dict_copy(&video->metadata, from.metadata, 0);
  forget_old_file(&video->metadata);
  copy_picture_data(from, *video);
  add_light_levels(*video, first);
}

void FilmMuxer::Output::add_other(const AVStream& from, const StreamPlan& plan) {
  Other& other = others[size_t(from.index)];
  AVStream& to = *require(avformat_new_stream(format.get(), nullptr));
  other.from_base = from.time_base;
  to.disposition = from.disposition;
  av_dict_copy(&to.metadata, from.metadata, 0);
  forget_old_file(&to.metadata);
  if (plan.action == StreamPlan::Action::cover) {
    to.codecpar->codec_type = AVMEDIA_TYPE_ATTACHMENT;
    to.codecpar->codec_id = from.codecpar->codec_id;
    const AVPacket& picture = from.attached_pic;
    to.codecpar->extradata = static_cast<uint8_t*>(
        require(av_mallocz(size_t(picture.size) + AV_INPUT_BUFFER_PADDING_SIZE)));
    std::copy_n(picture.data, picture.size, to.codecpar->extradata);
    to.codecpar->extradata_size = picture.size;
    to.disposition = 0;
    const bool png = from.codecpar->codec_id == AV_CODEC_ID_PNG;
    av_dict_set(&to.metadata, "filename", png ? "cover.png" : "cover.jpg", 0);
    av_dict_set(&to.metadata, "mimetype", mime_of(from.codecpar->codec_id), 0);
    return;
  }
  if (plan.action == StreamPlan::Action::subtitles) {
    other.subtitles = std::make_unique<SubtitleConverter>(from, plan.codec);
    avcodec_parameters_copy(to.codecpar, &other.subtitles->parameters());
    other.from_base = {1, 1000};
  } else if (avcodec_parameters_copy(to.codecpar, from.codecpar) < 0) {
    throw std::bad_alloc();
  } else {
    copy_side_data(from, to);
  }
  to.codecpar->codec_tag = 0;
  // A tag of the source's that the container knows for the codec is kept: ac-3 in mp4 has two.
  const bool same_family = av_codec_get_id(format->oformat->codec_tag, from.codecpar->codec_tag) ==
                           from.codecpar->codec_id;
  if (!other.subtitles && same_family) to.codecpar->codec_tag = from.codecpar->codec_tag;
  to.time_base = other.from_base;
  to.avg_frame_rate = from.avg_frame_rate;
  to.r_frame_rate = from.r_frame_rate;
  to.sample_aspect_ratio = from.sample_aspect_ratio;
  if (from.codecpar->codec_type != AVMEDIA_TYPE_ATTACHMENT) other.to = &to;
}

void FilmMuxer::Output::add_chapters(const AVFormatContext& source) {
  const int64_t end_us =
      part.end_s ? first_us + std::llround(*part.end_s * AV_TIME_BASE) + shift : INT64_MAX;
  std::vector<AVChapter*> chapters;
  for (unsigned i = 0; i < source.nb_chapters; ++i) {
    const AVChapter& from = *source.chapters[i];
    const int64_t moved = av_rescale_q(shift, AV_TIME_BASE_Q, from.time_base);
    const int64_t last = av_rescale_q(end_us, AV_TIME_BASE_Q, from.time_base);
    const int64_t start = std::max<int64_t>(0, from.start + moved);
    const int64_t end = part.end_s ? std::min(from.end + moved, last) : from.end + moved;
    if (end <= start) continue;
    auto* to = static_cast<AVChapter*>(require(av_mallocz(sizeof(AVChapter))));
    to->id = from.id;
    to->time_base = from.time_base;
    to->start = start;
    to->end = end;
    av_dict_copy(&to->metadata, from.metadata, 0);
    chapters.push_back(to);
  }
  if (chapters.empty()) return;
  format->chapters =
      static_cast<AVChapter**>(require(av_malloc_array(chapters.size(), sizeof(AVChapter*))));
  std::ranges::copy(chapters, format->chapters);
  format->nb_chapters = unsigned(chapters.size());
}

void FilmMuxer::Output::write(AVPacket& packet) {
  forget_av_errors();
  if (const int error = av_interleaved_write_frame(format.get(), &packet); error < 0) {
    fail_writing(error);
  }
  if (format->pb && format->pb->error < 0) fail_writing(format->pb->error);
}

void FilmMuxer::write_video(const FilmPacket& packet) {
  Av<AVPacket> copy(require(av_packet_clone(packet.av.get())));
  const int64_t shift = av_rescale_q(output_->shift, AV_TIME_BASE_Q, output_->video_time_base);
  copy->pts = packet.pts + shift;
  copy->dts = packet.dts + shift;
  output_->last_duration = copy->duration;
  output_->last_end =
      av_rescale_q(copy->pts + copy->duration, output_->video_time_base, output_->video->time_base);
  av_packet_rescale_ts(copy.get(), output_->video_time_base, output_->video->time_base);
  if (std::string_view(output_->format->oformat->name) == "gif") {
    // Of frames that are closer than GIF can tell none is left out.
    if (output_->last_pts != AV_NOPTS_VALUE) {
      copy->pts = std::max(copy->pts, output_->last_pts + 1);
    }
    copy->dts = copy->pts;
  }
  output_->last_pts = copy->pts;
  copy->stream_index = output_->video->index;
  output_->write(*copy);
}

void FilmMuxer::write_other(const AVPacket& packet) {
  if (size_t(packet.stream_index) >= output_->others.size()) return;
  Output::Other& other = output_->others[size_t(packet.stream_index)];
  if (!other.to) return;
  Av<AVPacket> copy = other.subtitles ? other.subtitles->convert(packet)
                                      : Av<AVPacket>(require(av_packet_clone(&packet)));
  if (!copy) return;
  if ((other.to->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) {  // a cover, which has no time
    copy->pts = copy->dts = 0;
    copy->stream_index = other.to->index;
    return output_->write(*copy);
  }
  const int64_t time = copy->pts != AV_NOPTS_VALUE ? copy->pts : copy->dts;
  if (time == AV_NOPTS_VALUE) return;
  const int64_t begins = av_rescale_q(time, other.from_base, AV_TIME_BASE_Q);
  const int64_t ends = av_rescale_q(time + copy->duration, other.from_base, AV_TIME_BASE_Q);
  const FilmPart& part = output_->part;
  // What begins before the part and reaches into it stays where edit lists cut it to the sample.
  const int64_t reach = is_mp4(output_->format->oformat->name) ? ends - 1 : begins;
  if (part.start_s > 0 && reach < output_->first_us + std::llround(part.start_s * AV_TIME_BASE)) {
    return;
  }
  if (part.end_s && begins >= output_->first_us + std::llround(*part.end_s * AV_TIME_BASE)) return;
  const int64_t shift = av_rescale_q(output_->shift, AV_TIME_BASE_Q, other.from_base);
  if (copy->pts != AV_NOPTS_VALUE) copy->pts += shift;
  if (copy->dts != AV_NOPTS_VALUE) copy->dts += shift;
  av_packet_rescale_ts(copy.get(), other.from_base, other.to->time_base);
  copy->stream_index = other.to->index;
  copy->pos = -1;
  output_->write(*copy);
}

/// Tells the muxer how long the last picture is shown, which it cannot see from another's time.
void FilmMuxer::Output::set_last_delay() {
  if (last_duration <= 0) return;
  if (std::string_view(format->oformat->name) == "apng") {
    AVRational delay{};
    av_reduce(&delay.num, &delay.den, last_duration * video_time_base.num, video_time_base.den,
              UINT16_MAX);
    av_opt_set_q(format->priv_data, "final_delay", delay, 0);
  }
  if (std::string_view(format->oformat->name) == "gif") {
    const int64_t delay = std::clamp<int64_t>(last_end - last_pts, 1, UINT16_MAX);
    av_opt_set_int(format->priv_data, "final_delay", delay, 0);
  }
}

void FilmMuxer::finish() {
  output_->set_last_delay();
  forget_av_errors();
  if (const int error = av_write_trailer(output_->format.get()); error < 0) {
    output_->fail_writing(error);
  }
  AVFormatContext& format = *output_->format;
  if (format.pb && (format.oformat->flags & AVFMT_NOFILE) == 0) {
    const int error = avio_closep(&format.pb);
    if (error < 0) output_->fail_writing(error);
  }
  if (output_->file) output_->file->commit();
}

int64_t FilmMuxer::bytes() const {
  const AVIOContext* pb = output_->format->pb;
  return pb ? avio_tell(const_cast<AVIOContext*>(pb)) : 0;
}

void join_streams(FilmMuxer& muxer, FilmReader& others, Fraction video_time_base,
                  const std::function<std::optional<FilmPacket>()>& next_video) {
  Av<AVPacket> other = new_av_packet();
  bool has_other = others.read_other(*other);
  std::optional<FilmPacket> video = next_video();
  const auto is_before_other = [&](const FilmPacket& picture) {
    const AVRational base = others.av().format->streams[other->stream_index]->time_base;
    const int64_t time = other->dts != AV_NOPTS_VALUE ? other->dts : other->pts;
    return av_compare_ts(picture.dts, rational(video_time_base), time, base) <= 0;
  };
  while (video || has_other) {
    if (video && (!has_other || is_before_other(*video))) {
      muxer.write_video(*video);
      video = next_video();
    } else {
      muxer.write_other(*other);
      has_other = others.read_other(*other);
    }
  }
}

}  // namespace upres
