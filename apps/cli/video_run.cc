// SPDX-License-Identifier: Apache-2.0
#include "video_run.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/system.h"
#include "failure.h"
#include "keys.h"
#include "loaded.h"
#include "media/image_writer.h"
#include "pixel/film.h"
#include "pixel/resample.h"
#include "report.h"
#include "stopwatch.h"
#include "upscale/film_output.h"
#include "upscale/journal.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

/// Lets blocks as large as frames stay with the process: one comes for each that goes.
void keep_freed_frames() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

bool is_pipe(const std::string& path) {
  return path == "-";
}

/// The format of films that are made and not kept: to measure.
constexpr const char* kNowhere = "null";

/// What tells one source from another that has its name: its size, and its beginning and end.
std::string fingerprint(const std::string& path) {
  constexpr int64_t kPart = 1 << 20;
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";  // frames in files of their own
  const int64_t bytes = file.tellg();
  std::string parts;
  for (const int64_t at : {int64_t(0), std::max<int64_t>(kPart, bytes - kPart)}) {
    if (at >= bytes) continue;
    std::string part(size_t(std::min(kPart, bytes - at)), '\0');
    file.seekg(at);
    file.read(part.data(), std::streamsize(part.size()));
    parts += part;
  }
  return fmt::format("{} bytes, sha256 of ends {}", bytes,
                     sha256_hex(std::as_bytes(std::span(parts))));
}

std::string joined(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string text;
  for (const auto& [key, value] : pairs) text += (text.empty() ? "" : " ") + key + "=" + value;
  return text;
}

class VideoRun {
 public:
  VideoRun(const VideoOptions& options, const std::stop_token& stop)
      : options_(options),
        existing_(options.overwrite ? Existing::replace : Existing::refuse),
        // What goes to stdout is the film, then.
        report_(is_pipe(options.output.value_or("")) ? Verbosity::quiet : options.verbosity,
                options.json),
        outer_stop_(stop) {}

  int run() {
    check_options();
    const auto devices = open_devices(options_.device, report_.load_events(outer_stop_));
    FilmReader reader(options_.input, read_options(*devices.front()));
    for (const std::string& sentence : reader.notices()) report_.notice(sentence);
    output_ = options_.output ? *options_.output : beside_input(reader.info());
    if (options_.preview_s) return preview(reader, *devices.front());
    target_ = {.path = output_,
               .container = film_container(output_, options_.format),
               .existing = existing_,
               .part = options_.part,
               .plays = options_.plays};
    if (options_.plays && !holds_plays(target_.container)) {
      fail(ErrorCode::usage, "{} files have no --loop; leave it out, or write .webp, .apng or .gif",
           target_.container);
    }
    if (options_.skip && output_exists()) {
      report_.skipped({options_.input, output_, {}});
      return 0;
    }
    check_output();

    Stopwatch watch;
    const LoadedModel model = load_wanted_model(options_);
    std::vector<std::unique_ptr<LoadedNetwork>> networks;
    for (const auto& device : devices) {
      networks.push_back(std::make_unique<LoadedNetwork>(*device, model, options_));
    }
    for (const auto& device : devices) {
      upres::tell(report_, options_, model, *device, watch.lap());
    }
    return make(reader, networks, *devices.front());
  }

 private:
  void check_options() const {
    if (options_.part.end_s && *options_.part.end_s <= options_.part.start_s) {
      fail(ErrorCode::usage, "--end is not behind --start");
    }
    if (is_kept_nowhere() && options_.output) {
      fail(ErrorCode::usage, "-f null keeps nothing of the film; leave -o out");
    }
    if (options_.json && is_pipe(options_.output.value_or(""))) {
      fail(ErrorCode::usage, "--json and -o - both want stdout; give one of them up");
    }
  }

  bool is_kept_nowhere() const { return options_.format == kNowhere && !options_.preview_s; }

  /// Whether the input's frames have no times of their own, and get them from --fps as they are
  /// read.
  bool is_timed_by_rate() const {
    return is_sequence(options_.input) || options_.read.format == "rawvideo";
  }

  FilmReadOptions timed_read_options() const {
    FilmReadOptions read = options_.read;
    if (is_timed_by_rate() && options_.rate.num > 0) {
      read.demuxer_options.emplace_back("framerate",
                                        fmt::format("{}/{}", options_.rate.num, options_.rate.den));
    }
    return read;
  }

  FilmReadOptions read_options(const Device& device) const {
    FilmReadOptions read = timed_read_options();
    if (options_.hwaccel) read.gpu = device.gpu();
    read.threads = options_.device.threads;
    return read;
  }

  std::string beside_input(const FilmInfo& film) const {
    if (is_kept_nowhere()) return kNowhere;
    if (is_pipe(options_.input)) return "-";
    if (is_sequence(options_.input)) {
      fail(ErrorCode::usage,
           "frames in files of their own need an -o: film.mkv, or other/%06d.png");
    }
    const fs::path input = options_.input;
    std::string name = (input.parent_path() / input.stem()).string() +
                       options_.suffix.value_or(options_.preview_s ? "_preview" : "_upres");
    if (options_.preview_s) return name + ".png";
    return name + (options_.format.empty() ? usual_extension(options_.input, film)
                                           : "." + options_.format);
  }

  bool output_exists() const {
    if (target_.container == kNowhere) return false;
    std::error_code unreachable;
    if (!is_sequence(output_)) return fs::exists(output_, unreachable);
    return fs::exists(first_of_sequence(), unreachable);
  }

  std::string first_of_sequence() const {
    char name[4096];
    std::snprintf(name, sizeof(name), "%s", output_.c_str());
    const size_t percent = output_.find('%');
    const size_t d = output_.find('d', percent);
    const std::string width = output_.substr(percent + 1, d - percent - 1);
    const int digits = width.empty() ? 1 : std::atoi(width.c_str());
    return output_.substr(0, percent) + fmt::format("{:0{}}", 1, digits) + output_.substr(d + 1);
  }

  void check_output() const {
    if (target_.container == kNowhere) return;
    if (is_pipe(output_)) {
      if (isatty(STDOUT_FILENO) != 0) {
        fail(ErrorCode::output,
             "a film on the terminal is of no use; send stdout to a program, or "
             "give -o");
      }
      return;
    }
    std::error_code error;
    if (fs::equivalent(options_.input, output_, error)) {
      fail(ErrorCode::output, "{} would be written over {}, which is the input; choose another -o",
           output_, options_.input);
    }
    if (fs::is_directory(output_, error)) {
      fail(ErrorCode::output, "{} is a folder; name a file in it with -o", output_);
    }
    if (existing_ == Existing::refuse && output_exists()) {
      fail(ErrorCode::output, "{} exists; give --overwrite or --skip, or choose another -o",
           output_);
    }
    fs::path folder = fs::path(output_).parent_path();
    if (folder.empty()) folder = ".";
    if (access(folder.c_str(), W_OK | X_OK) != 0) {
      fail(ErrorCode::output, "cannot write into the folder {}: {}", folder.string(),
           std::strerror(errno));
    }
  }

  /// Containers whose encoders hold the film as one piece, and pipes, have no segments.
  bool has_segments() const {
    return !is_pipe(output_) && !is_pipe(options_.input) && !holds_plays(target_.container) &&
           target_.container != kNowhere;
  }

  Size result_size(const FilmInfo& film, int scale) const {
    const Size size = options_.upscale.size.of(film.format.size, scale);
    // Encoders count to 65535 at most, and most of them less far.
    if (size.width > 65535 || size.height > 65535) {
      fail(ErrorCode::output,
           "the result would have {}x{} pixels, more than films can have; give -s "
           "or --fit",
           size.width, size.height);
    }
    return size;
  }

  FilmEncoding plan(const FilmReader& reader, FilmEncodeOptions encode, int scale) {
    FilmInfo film = reader.info();
    const Size size = result_size(film, scale);
    if (options_.upscale.size.rule == OutputSize::Rule::exact && film.pixel_aspect.num > 0) {
      film.pixel_aspect = kept_aspect(film, size);
    }
    if (options_.rate.num > 0) film.frame_rate = options_.rate;
    if (target_.container == "image2" && encode.codec.empty()) {
      encode.codec = picture_codec(output_);
    }
    FilmEncoding encoding = plan_encoding(film, size, target_.container, encode, encoder_threads());
    const Size made = encoding.format.size;
    if (made != size) {
      report_.notice(
          fmt::format("{} takes whole samples of chroma only: {}x{} instead of {}x{} pixels",
                      encoding.codec, made.width, made.height, size.width, size.height));
    }
    if (reader.info().guessed_colour) {
      report_.notice(fmt::format(
          "the film does not say how its colours are stored: taken for BT.{}, "
          "as usual for {} lines",
          film.format.matrix == FilmMatrix::bt709 ? 709 : 601, film.format.size.height));
    }
    return encoding;
  }

  /// A plan whose encoder opens: where a GPU has none that was asked for, the processor's takes its
  /// place. What is asked for in the words of the GPU's encoder is then left out.
  FilmEncoding plan_that_opens(const FilmReader& reader, int scale) {
    const std::string other = encoder_without_gpu(options_.encode.codec);
    if (other.empty()) return plan(reader, options_.encode, scale);
    try {
      FilmEncoding encoding = plan(reader, options_.encode, scale);
      const FilmEncoder opens(encoding, reader.first());
      return encoding;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::output && error.code() != ErrorCode::usage) throw;
      report_.notice(fmt::format("{} encodes on the processor instead: {}", other, error.what()));
    }
    FilmEncodeOptions encode = options_.encode;
    encode.codec = other;
    encode.preset.clear();
    encode.options.clear();
    return plan(reader, encode, scale);
  }

  /// Pixels that show the film in its proportions, whatever the result's.
  static Fraction kept_aspect(const FilmInfo& film, Size size) {
    const Size from = film.format.size;
    int64_t num = int64_t(film.pixel_aspect.num) * from.width * size.height;
    int64_t den = int64_t(film.pixel_aspect.den) * from.height * size.width;
    const int64_t common = std::gcd(num, den);
    num /= common;
    den /= common;
    for (; num > INT32_MAX || den > INT32_MAX; num /= 2, den /= 2) {
    }
    return {int(num), int(std::max<int64_t>(den, 1))};
  }

  /// The bytes of some encoders depend on it: of one machine it is always the same.
  int encoder_threads() const {
    return options_.device.threads > 0 ? options_.device.threads : processor_count();
  }

  FilmRunPlan run_plan(const FilmEncoding& encoding, const LoadedNetwork&,
                       const Device& device) const {
    const NetworkOptions& network = options_;
    const auto tile = network.tiles.side;
    return {
        {"--input", fingerprint(options_.input)},
        {"--model", network.model},
        {"--blend", network.blend.blend ? fmt::format("{}:{}", network.blend.blend->model,
                                                      network.blend.blend->weight)
                                        : ""},
        {"--denoise", network.blend.denoise ? fmt::format("{}", *network.blend.denoise) : ""},
        {"--input-range", fmt::format("{}..{}", network.habits.low, network.habits.high)},
        {"--channel-order", network.habits.blue_first ? "bgr" : "rgb"},
        {"--backend", device.name()},
        {"--precision", std::string(name(device.chosen(network.device.precision)))},
        {"--tile", tile ? fmt::format("{}", *tile) : "auto"},
        {"--overlap", network.tiles.overlap ? fmt::format("{}", *network.tiles.overlap) : ""},
        {"--size", fmt::format("{}x{}", encoding.format.size.width, encoding.format.size.height)},
        {"--repeat", network.upscale.repeat ? "yes" : "no"},
        {"--tta", network.upscale.eight_ways ? "yes" : "no"},
        {"--codec", encoding.codec},
        {"--encoder-option", joined(encoding.options)},
        {"--pix-fmt", encoding.pixel_format},
        {"--threads", fmt::format("{}", encoding.threads)},
        {"--format", target_.container},
        {"--start", fmt::format("{}", options_.part.start_s)},
        {"--end", options_.part.end_s ? fmt::format("{}", *options_.part.end_s) : ""},
        {"--fps", fmt::format("{}/{}", options_.rate.num, options_.rate.den)},
        {"--deinterlace", fmt::format("{}", int(options_.deinterlace))},
        {"--segment", fmt::format("{}", options_.segment_s)}};
  }

  int make(FilmReader& reader, const std::vector<std::unique_ptr<LoadedNetwork>>& networks,
           const Device& device) {
    const LoadedNetwork& network = *networks.front();
    const FrameInfo picture = picture_of(reader.info().format);
    UpscaleOptions native = options_.upscale;
    native.size = {};
    const int scale = network.upscaler.result_info(picture, native).size.width / picture.size.width;
    const FilmEncoding encoding = plan_that_opens(reader, scale);
    for (const std::string& sentence : encoding.notices) report_.notice(sentence);
    for (const std::string& sentence : FilmMuxer::losses(target_, reader, encoding)) {
      report_.notice(sentence);
    }
    facts_ = {.input = options_.input,
              .output = output_,
              .film = reader.info(),
              .result = encoding.format.size,
              .decoder = reader.decoder(),
              .encoder = encoding.codec,
              .pixel_format = encoding.pixel_format};
    expected_ = expected_frames(reader.info());
    std::vector<Upscaler*> upscalers;
    for (const auto& one : networks) upscalers.push_back(&one->upscaler);
    return has_segments() ? make_in_segments(reader, encoding, upscalers, network, device)
                          : make_directly(reader, encoding, upscalers);
  }

  int64_t expected_frames(const FilmInfo& film) const {
    if (options_.part.whole() && options_.rate.num == 0) return film.frames;
    double seconds = options_.part.end_s.value_or(film.duration_s);
    if (film.duration_s > 0) seconds = std::min(seconds, film.duration_s);
    seconds -= options_.part.start_s;
    const double rate = options_.rate.num > 0 ? options_.rate.value() : film.frame_rate.value();
    return seconds > 0 && rate > 0 ? std::llround(seconds * rate) : 0;
  }

  FilmInputOptions input_options(int64_t skip) const {
    return {.part = options_.part,
            .deinterlace = options_.deinterlace,
            .rate = is_timed_by_rate() ? Fraction{0, 1} : options_.rate,
            .skip = skip};
  }

  int make_in_segments(FilmReader& reader, const FilmEncoding& encoding,
                       const std::vector<Upscaler*>& upscalers, const LoadedNetwork& network,
                       const Device& device) {
    Stopwatch watch;
    const FilmFrame first = without_samples(reader.first());
    {  // What the container or the encoder refuses is known before any work is done.
      const FilmEncoder encoder(encoding, first);
      if (!is_sequence(output_)) {
        const FilmMuxer trial(target_, reader, encoding, encoder.parameters(), first);
      }
    }
    Journal journal = open_journal(run_plan(encoding, network, device));
    facts_.frames_before = journal.frames();
    report_.begun(facts_);
    if (facts_.frames_before > 0) {
      report_.notice(fmt::format("going on behind {} frames", facts_.frames_before));
    }
    reader.skip_before(options_.part.start_s);
    FilmInput input(reader, input_options(facts_.frames_before));
    SegmentedOutput output(encoding, journal, options_.segment_s, reader.info().start);
    FilmCount count;
    try {
      count = stream(input, upscalers, output, [&] { return journal.end_bytes(); });
    } catch (const Error& error) {
      if (error.code() == ErrorCode::interrupted) {
        fail(ErrorCode::interrupted,
             "interrupted; the same command with --resume goes on behind {} "
             "frames",
             journal.frames());
      }
      throw;
    }
    output.finish();
    tell_input(input, reader);
    int64_t bytes = 0;
    {
      FilmReader others(options_.input, read_options_for_others());
      const FilmEncoder encoder(encoding, first);
      FilmMuxer muxer(target_, reader, encoding, encoder.parameters(), first);
      JoinedSegments video(journal);
      join_streams(muxer, others, encoding.time_base, [&] { return video.next(); });
      bytes = muxer.bytes();
      muxer.finish();
    }
    journal.remove();
    report_.done(facts_, count, watch.lap(), bytes);
    return exit_code(reader.damage(), count.frames + facts_.frames_before);
  }

  FilmReadOptions read_options_for_others() const {
    FilmReadOptions read = timed_read_options();
    read.threads = 1;
    return read;
  }

  int make_directly(FilmReader& reader, const FilmEncoding& encoding,
                    const std::vector<Upscaler*>& upscalers) {
    if (options_.resume) {
      fail(ErrorCode::usage,
           "a run from or to a pipe, to an animated picture or to nowhere cannot be resumed; "
           "leave --resume out");
    }
    Stopwatch watch;
    const FilmFrame first = without_samples(reader.first());
    reader.skip_before(options_.part.start_s);  // before others keep what it has
    FilmEncoder encoder(encoding, first);
    FilmMuxer muxer(target_, reader, encoding, encoder.parameters(), first);
    report_.begun(facts_);
    std::mutex muxing;  // the reader's thread has the other streams, the sink's the pictures
    reader.take_others([&](const AVPacket& packet) {
      const std::lock_guard lock(muxing);
      muxer.write_other(packet);
    });
    FilmInput input(reader, input_options(0));
    int64_t bytes = 0;
    std::atomic<int64_t> told_bytes = 0;
    DirectOutput output(encoding, encoder, [&](const FilmPacket& packet) {
      const std::lock_guard lock(muxing);
      muxer.write_video(packet);
      told_bytes = muxer.bytes();
    });
    const FilmCount count = stream(input, upscalers, output, [&] { return told_bytes.load(); });
    output.finish();
    bytes = muxer.bytes();
    muxer.finish();
    tell_input(input, reader);
    report_.done(facts_, count, watch.lap(), bytes);
    return exit_code(reader.damage(), count.frames);
  }

  Journal open_journal(const FilmRunPlan& plan) const {
    std::error_code unreachable;
    const fs::path folder = Journal::folder_of(output_);
    if (options_.resume) return Journal::resume(output_, plan);
    if (fs::exists(folder, unreachable) && !options_.overwrite) {
      fail(ErrorCode::output,
           "an interrupted run has left {}; --resume goes on with it, --overwrite "
           "begins anew",
           folder.string());
    }
    return Journal::begin(output_, plan);
  }

  FilmCount stream(FilmInput& input, const std::vector<Upscaler*>& upscalers, FilmSink& output,
                   const std::function<int64_t()>& bytes) {
    PauseButton pause;
    std::stop_source stop;
    const std::stop_callback outer(outer_stop_, [&] { stop.request_stop(); });
    const KeyWatch keys([&](char key) {
      if (key == ' ') pause.toggle();
      if (key == 'q') stop.request_stop();
    });
    ProgressMeter meter = report_.film_meter(fs::path(options_.input).filename().string());
    const FilmEvents events{
        .progress =
            [&](int64_t frames) {
              report_.progress(facts_,
                               {.done = facts_.frames_before + frames,
                                .total = expected_,
                                .before = facts_.frames_before,
                                .bytes = bytes(),
                                .paused = pause.is_paused()},
                               meter);
            },
        .planned =
            [&](const TileGrid& grid) {
              const Size largest = grid.largest();
              report_.detail(fmt::format("tiles   {} x {}, of up to {}x{} pixels", grid.columns(),
                                         grid.rows(), largest.width, largest.height));
            },
        .notice = [&](const std::string& sentence) { report_.notice(sentence); }};
    const FilmCount count = run_film(
        [&] { return input.next(); }, upscalers, output,
        {.upscale = options_.upscale, .duplicates_once = !options_.every_frame, .pause = &pause},
        events, stop.get_token());
    if (count.frames + facts_.frames_before == 0) {
      fail(ErrorCode::input, "there are no frames between --start and --end in {}", options_.input);
    }
    return count;
  }

  void tell_input(const FilmInput& input, const FilmReader& reader) {
    if (input.has_deinterlaced()) {
      report_.notice(
          "the film is interlaced: each frame was made whole; --deinterlace off keeps it");
    }
    if (input.other_sizes() > 0) {
      report_.notice(fmt::format(
          "{} frames are of another size than the film's first; they were fitted to its result",
          input.other_sizes()));
    }
    for (const std::string& sentence : reader.notices()) report_.notice(sentence);
  }

  int exit_code(const FilmDamage& damage, int64_t frames) {
    if (!damage.any()) return 0;
    std::string what;
    if (damage.packets > 0) what = fmt::format("{} damaged packets were left out", damage.packets);
    if (damage.cut_off)
      what += std::string(what.empty() ? "" : ", and ") + "it ends before its time";
    if (what.empty()) what = damage.complaint;
    const std::string sentence =
        fmt::format("{} is damaged: {}; {} frames are done", options_.input, what, frames);
    if (options_.lenient) {
      report_.notice(sentence);
      return 0;
    }
    print({int(ErrorCode::input), sentence + " (--lenient takes that for success)"});
    return int(ErrorCode::input);
  }

  /// One frame, as it was on the left, enlarged by interpolation, and as it becomes on the right.
  int preview(FilmReader& reader, const Device& device) {
    const auto format = find_format(output_);
    if (!format) {
      fail(ErrorCode::output, "--preview makes a picture; end {} in .png or .jpg", output_);
    }
    check_output();
    const LoadedModel model = load_wanted_model(options_);
    LoadedNetwork network(device, model, options_);
    reader.skip_before(*options_.preview_s);
    FilmInput input(reader, {.part = {.start_s = *options_.preview_s, .end_s = {}},
                             .deinterlace = options_.deinterlace,
                             .rate = {0, 1},
                             .skip = 0});
    std::optional<FilmFrame> frame = input.next();
    if (!frame) fail(ErrorCode::input, "{} ends before --preview", options_.input);
    frame = in_host_memory(*frame);
    const Frame before = picture_from_film(frame->view);
    UpscaleOptions upscale = options_.upscale;
    upscale.type = SampleType::u16;
    const Frame after = network.upscaler.run(
        before, upscale, {.notice = [&](const std::string& s) { report_.notice(s); }}, outer_stop_);
    Frame enlarged(after.info());
    FrameSink sink(enlarged);
    Resampler resampler(before.info(), after.info(), sink);
    FrameSource source(before);
    pass_rows(source, resampler);
    const Size size = after.size();
    Frame both({size.width * 2, size.height}, SampleType::u16, after.channels());
    for (int y = 0; y < size.height; ++y) {
      std::memcpy(both.row(y), enlarged.row(y), enlarged.row_bytes());
      std::memcpy(both.row(y) + enlarged.row_bytes(), after.row(y), after.row_bytes());
    }
    write_image({.path = output_, .format = *format, .existing = existing_}, both, {});
    report_.result(fmt::format(
        "{} at {:.3f} s -> {}  before and after", options_.input,
        double(frame->pts - reader.info().start) * reader.info().time_base.value(), output_));
    return 0;
  }

  const VideoOptions& options_;
  Existing existing_;
  Report report_;
  const std::stop_token& outer_stop_;
  std::string output_;
  FilmTarget target_;
  FilmFacts facts_;
  int64_t expected_ = 0;
};

}  // namespace

int run_video(const VideoOptions& options, const std::stop_token& stop) {
  keep_freed_frames();
  return VideoRun(options, stop).run();
}

}  // namespace upres
