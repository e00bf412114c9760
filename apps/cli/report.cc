// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace upres {
namespace {

using Json = nlohmann::ordered_json;

/// A number without digits that nobody measured.
double rounded(double number) {
  return std::round(number * 1000) / 1000;
}

void put(const Json& event) {
  // What is no UTF-8 in a file's name is replaced: JSON knows nothing else.
  const auto text = event.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::fputs((text + "\n").c_str(), stdout);
  std::fflush(stdout);
}

Json event_of(const char* event, const Task& task) {
  return {{"event", event}, {"input", task.input.string()}, {"output", task.output.string()}};
}

}  // namespace

LoadEvents Report::load_events(const std::stop_token& stop) {
  return {.notice = [this](const std::string& sentence) { notice(sentence); },
          .progress = [this](double share) { building(share); },
          .stop = stop};
}

void Report::building(double share) {
  if (!json_) return builds_.update(share);
  const std::lock_guard lock(mutex_);
  const int tenths = int(share * 10);
  if (tenths < tenths_built_) tenths_built_ = 0;  // another build
  if (tenths > tenths_built_) put({{"event", "building"}, {"share", rounded(share)}});
  tenths_built_ = tenths;
}

void Report::loaded(const LoadedFacts& facts) {
  if (json_) {
    put({{"event", "loaded"},
         {"model", facts.model},
         {"architecture", facts.architecture},
         {"scale", facts.scale},
         {"device", facts.device},
         {"precision", name(facts.precision)},
         {"seconds", rounded(facts.seconds)}});
  }
  console_.detail(fmt::format("model   {}: {}, x{}, halo {}", facts.model, facts.architecture,
                              facts.scale, facts.halo));
  console_.detail(fmt::format("device  {}, {}", facts.device, name(facts.precision)));
  console_.detail(fmt::format("loaded  in {:.2f} s", facts.seconds));
}

void Report::begun(const Task& task, const FrameInfo& picture, const FrameInfo& result) {
  tenths_told_ = 0;
  if (!json_) return;
  Json event = event_of("begun", task);
  event["width"] = picture.size.width;
  event["height"] = picture.size.height;
  event["result_width"] = result.size.width;
  event["result_height"] = result.size.height;
  put(event);
}

void Report::skipped(const Task& task) {
  if (json_) return put(event_of("skipped", task));
  console_.result(fmt::format("{}  skipped: {} exists", task.input.string(), task.output.string()));
}

void Report::done(const Task& task, const FrameInfo& result, const TileCount& tiles,
                  const PictureTimes& times) {
  const double seconds = times.upscaling_s + times.writing_s;
  console_.detail(fmt::format("times   read and upscale {:.2f} s, then write {:.2f} s",
                              times.upscaling_s, times.writing_s));
  if (json_) {
    Json event = event_of("done", task);
    event["result_width"] = result.size.width;
    event["result_height"] = result.size.height;
    event["seconds"] = rounded(seconds);
    event["tiles"] = tiles.made;
    event["repaired_tiles"] = tiles.repaired;
    return put(event);
  }
  console_.result(fmt::format("{} -> {}  {}x{}  {:.1f} s", task.input.string(),
                              task.output.string(), result.size.width, result.size.height,
                              seconds));
}

void Report::failed(const Task& task, const Failure& failure) {
  console_.draw("");
  print(failure);
  if (!json_) return;
  Json event = event_of("failed", task);
  event["message"] = failure.message;
  event["code"] = failure.exit_code;
  put(event);
}

void Report::notice(const std::string& sentence) {
  const std::lock_guard lock(mutex_);
  if (std::ranges::count(noticed_, sentence) > 0) return;
  noticed_.push_back(sentence);
  console_.notice(sentence);
  if (json_) put({{"event", "notice"}, {"message", sentence}});
}

void Report::ended(int pictures, int done, int skipped, int failed) {
  if (json_) {
    return put({{"event", "ended"}, {"done", done}, {"skipped", skipped}, {"failed", failed}});
  }
  if (pictures == 1 || (failed == 0 && skipped == 0)) return;
  console_.result(fmt::format("{} of {} pictures done, {} skipped, {} failed", done, pictures,
                              skipped, failed));
}

void Report::begun(const FilmFacts& film) {
  tenths_told_ = 0;
  const Size size = film.film.format.size;
  console_.detail(fmt::format("film    {}x{}, {}, {}, {:.3f} frames/s, {} frames", size.width,
                              size.height, film.film.pixel_format, film.decoder,
                              film.film.frame_rate.value(), film.film.frames));
  console_.detail(fmt::format("result  {}x{}, {}, {}", film.result.width, film.result.height,
                              film.pixel_format, film.encoder));
  if (!json_) return;
  put({{"event", "begun"},
       {"input", film.input},
       {"output", film.output},
       {"width", size.width},
       {"height", size.height},
       {"result_width", film.result.width},
       {"result_height", film.result.height},
       {"frames", film.film.frames},
       {"frames_before", film.frames_before},
       {"decoder", film.decoder},
       {"encoder", film.encoder},
       {"pixel_format", film.pixel_format}});
}

void Report::done(const FilmFacts& film, const FilmCount& count, double seconds, int64_t bytes) {
  const auto fps = [](int64_t frames, double of_s) { return of_s > 0 ? double(frames) / of_s : 0; };
  const int64_t run = count.frames - count.duplicates;
  const double decode = fps(count.frames, count.decode_s);
  const double network = fps(run, count.network_s);
  const double encode = fps(count.frames, count.encode_s);
  if (json_) {
    return put({{"event", "done"},
                {"input", film.input},
                {"output", film.output},
                {"result_width", film.result.width},
                {"result_height", film.result.height},
                {"frames", film.frames_before + count.frames},
                {"duplicates", count.duplicates},
                {"seconds", rounded(seconds)},
                {"decode_fps", rounded(decode)},
                {"network_fps", rounded(network)},
                {"encode_fps", rounded(encode)},
                {"network_busy", rounded(count.network_share)},
                {"bytes", bytes},
                {"tiles", count.tiles.made},
                {"repaired_tiles", count.tiles.repaired}});
  }
  console_.result(fmt::format("{} -> {}  {}x{}  {} frames  {:.1f} s", film.input, film.output,
                              film.result.width, film.result.height,
                              film.frames_before + count.frames, seconds));
  std::string line = fmt::format(
      "{:.1f} frames/s; by itself decoding does {:.1f}, the network {:.1f} (busy for {:.0f} % of "
      "the time), encoding {:.1f}",
      fps(count.frames, seconds), decode, network, 100 * count.network_share, encode);
  if (count.duplicates > 0) {
    line +=
        fmt::format("; {} frames were like the one before, and not run again", count.duplicates);
  }
  console_.result(line);
}

ProgressMeter Report::film_meter(const std::string& name) {
  return ProgressMeter(console_, name, ProgressMeter::Unit::frames);
}

void Report::progress(const FilmFacts& film, const Amount& frames, ProgressMeter& meter) {
  if (!json_) return meter.update(frames);
  if (frames.total <= 0) return;
  const double share = std::min(1.0, double(frames.done) / double(frames.total));
  if (int(share * 10) <= tenths_told_) return;
  tenths_told_ = int(share * 10);
  put({{"event", "progress"},
       {"input", film.input},
       {"output", film.output},
       {"share", rounded(share)},
       {"frames", frames.done}});
}

ProgressMeter Report::meter(const std::string& name) {
  return ProgressMeter(console_, name, ProgressMeter::Unit::pixels);
}

void Report::progress(const Task& task, const Progress& progress, ProgressMeter& meter) {
  if (!json_) return meter.update({progress.pixels_done, progress.pixels_total});
  const double share =
      double(progress.pixels_done) / double(std::max<int64_t>(progress.pixels_total, 1));
  if (int(share * 10) <= tenths_told_) return;
  tenths_told_ = int(share * 10);
  Json event = event_of("progress", task);
  event["share"] = rounded(share);
  put(event);
}

}  // namespace upres
