// SPDX-License-Identifier: Apache-2.0
#include "upscale/upscaler.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/system.h"
#include "pixel/resample.h"

namespace upres {
namespace {

// What the rows that wait may take when the tile is automatic: tiles of a wide picture get less
// high, so that with the activations it stays below 1.5 GiB at any width.
constexpr double kRowsBudget = double(256 << 20);

/// Between a network's runs, or before the resampling, more precision than 8 bits is kept.
SampleType between(SampleType picture, SampleType result) {
  const bool floats = picture == SampleType::f32 || result == SampleType::f32;
  return floats ? SampleType::f32 : SampleType::u16;
}

bool covers(Size size, Size wanted) {
  return size.width >= wanted.width && size.height >= wanted.height;
}

std::string to_string(Size size) {
  return fmt::format("{}x{}", size.width, size.height);
}

/// Bytes that tiles take per pixel of the input. On the processor those of the network as it is: an
/// engine's own vary with the width of the machine's vectors.
double bytes_per_pixel(const Device& device, const Engine& engine, const Graph& graph) {
  if (device.uses_host_memory()) return activation_bytes_per_pixel(graph);
  constexpr int kSide = 1024;  // so large that what does not grow with the tile hardly shows
  return double(engine.bytes_needed({kSide, kSide})) / (double(kSide) * kSide);
}

}  // namespace

Upscaler::Upscaler(const Device& device, const Engine& engine, const Graph& graph,
                   TileOptions tiles)
    : device_(device),
      engine_(engine),
      scale_(graph.scale()),
      footprint_(upres::footprint(graph)),
      bytes_per_pixel_(bytes_per_pixel(device, engine, graph)),
      options_(tiles),
      runner_(engine, {scale_, overlap(), footprint_.alignment, exact()}),
      resident_(resident_memory()) {}

FrameInfo Upscaler::result_info(const FrameInfo& picture, const UpscaleOptions& options) const {
  return {options.size.of(picture.size, scale_), options.type.value_or(picture.type),
          picture.channels};
}

int Upscaler::overlap() const {
  return exact() ? 2 * footprint_.halo : options_.overlap.value_or(kDefaultOverlap);
}

TileGrid Upscaler::grid(Size picture, Size tile) const {
  const auto read = [&](int side, int length) { return side < length ? side + overlap() : length; };
  return {picture,
          {read(tile.width, picture.width), read(tile.height, picture.height)},
          overlap(),
          footprint_.alignment};
}

Size Upscaler::taken_tile(Size wanted, Size picture) const {
  const auto taken = [&](int side, int length, int most) {
    const int read = side < length ? std::min(side + overlap(), length) : length;
    return read <= most ? side : std::max(most - overlap(), 1);
  };
  const Size most = engine_.largest();
  return {taken(wanted.width, picture.width, most.width),
          taken(wanted.height, picture.height, most.height)};
}

Size Upscaler::wanted_tile(const StagePlan& stage) const {
  const Size picture = stage.picture.size;
  if (options_.side) {
    const int side = *options_.side > 0 ? *options_.side : INT32_MAX;
    return {std::min(side, picture.width), std::min(side, picture.height)};
  }
  StagePlan one_row = stage;
  one_row.blended = !exact();
  one_row.grid = TileGrid({picture.width, 1}, {picture.width, 1}, 0, 1);
  const double pixels = double(device_.tile_budget()) / bytes_per_pixel_;
  const double most_rows = kRowsBudget / double(one_row.bytes_needed());
  double height = std::min({std::sqrt(pixels), most_rows, double(picture.height)});
  const double width = std::min(pixels / height, double(picture.width));
  height = std::min({pixels / width, most_rows, double(picture.height)});
  const auto unshared = [&](double side, int length) {
    return side < length ? std::max(kSmallestSide, int(side) - overlap()) : length;
  };
  return {unshared(width, picture.width), unshared(height, picture.height)};
}

size_t Upscaler::memory_available(size_t besides) const {
  const size_t available = device_.memory_available(besides);
  const auto left = [](size_t all, size_t taken) { return all - std::min(all, taken); };
  const size_t limit = options_.memory_limit;
  const size_t within_limit = limit > 0 ? left(limit, resident_ + besides) : available;
  if (device_.uses_host_memory()) return std::min(available, within_limit);
  const bool besides_fits =
      left(available_memory(), besides) > 0 && (limit == 0 || within_limit > 0);
  return besides_fits ? available : 0;
}

void Upscaler::choose_grid(StagePlan& stage, size_t rest, const UpscaleEvents& events) {
  const Size asked = wanted_tile(stage);
  const Size wanted = taken_tile(asked, stage.picture.size);
  if (options_.side && wanted != asked && events.notice) {
    events.notice(fmt::format(
        "tiles of {} instead of {} pixels: the engine takes up to {}, with what tiles share",
        to_string(wanted), to_string(asked), to_string(engine_.largest())));
  }
  for (Size tile = wanted;;) {
    stage.grid = grid(stage.picture.size, tile);
    stage.blended = !exact() && stage.grid.columns() * stage.grid.rows() > 1;
    const Size largest = stage.grid.largest();
    const size_t needed = engine_.bytes_needed(largest);
    const size_t available = memory_available(rest + stage.bytes_needed());
    if (needed <= available && runner_.plan(largest)) {
      if (tile != wanted && events.notice) {
        events.notice(fmt::format("tiles of {} instead of {} pixels, to fit the memory at hand",
                                  to_string(tile), to_string(wanted)));
      }
      return;
    }
    if (std::max(tile.width, tile.height) <= kSmallestSide) {
      fail(ErrorCode::memory,
           "not enough memory: even a tile of {} pixels needs {} MiB and {} MiB are free",
           to_string(tile), needed >> 20, available >> 20);
    }
    const auto smaller = [](int side) { return std::max(std::min(side, kSmallestSide), side / 2); };
    tile = {smaller(tile.width), smaller(tile.height)};
  }
}

std::vector<StagePlan> Upscaler::plan(const FrameInfo& picture, bool constant_alpha,
                                      const UpscaleOptions& options, const UpscaleEvents& events) {
  const FrameInfo result = result_info(picture, options);
  const SampleType precise = between(picture.type, result.type);
  std::vector<StagePlan> stages;
  size_t rest = Resampler::bytes_needed(picture, result);
  FrameInfo from = picture;
  do {
    const Size size = OutputSize{}.of(from.size, scale_);
    const FrameInfo to = {size, size == result.size ? result.type : precise, picture.channels};
    StagePlan stage{.picture = from,
                    .result = to,
                    .grid = TileGrid(from.size, from.size, 0, 1),
                    .scale = scale_,
                    .alpha_runs = picture.has_alpha() && !constant_alpha,
                    .eight_ways = options.eight_ways};
    choose_grid(stage, rest, events);
    if (events.planned) events.planned(stage.grid);
    rest += stage.bytes_needed();
    stages.push_back(std::move(stage));
    from = to;
  } while (options.repeat && scale_ > 1 && !covers(from.size, result.size));
  return stages;
}

std::unique_ptr<FilmSession> Upscaler::open_film(const FilmFormat& film, const FilmLayout& result,
                                                 const UpscaleOptions& options) {
  const FilmFormat& made = result.format;
  const bool one_run = made.size == OutputSize{}.of(film.size, scale_) && !options.eight_ways;
  if (!converts_films() || !one_run || film.alpha || made.alpha) return nullptr;
  const FrameInfo picture{film.size, SampleType::u16, film.channels()};
  const StagePlan stage{.picture = picture,
                        .result = {made.size, SampleType::u16, film.channels()},
                        .grid = TileGrid(film.size, film.size, 0, 1),
                        .scale = scale_};
  // Exact tiles change nothing but the time: as few as there is memory for.
  Size tile = taken_tile(exact() && !options_.side ? film.size : wanted_tile(stage), film.size);
  for (;;) {
    const TileGrid tiles = grid(film.size, tile);
    if (!exact() && tiles.columns() * tiles.rows() > 1) return nullptr;
    if (auto session = engine_.open_film({film, result, tiles})) return session;
    if (std::max(tile.width, tile.height) <= kSmallestSide) return nullptr;
    const auto smaller = [](int side) { return std::max(std::min(side, kSmallestSide), side / 2); };
    tile = {smaller(tile.width), smaller(tile.height)};
  }
}

TileCount Upscaler::run(RowSource& picture, bool constant_alpha, RowSink& result,
                        const UpscaleOptions& options, const UpscaleEvents& events,
                        const std::stop_token& stop) {
  const FrameInfo wanted = result_info(picture.info(), options);
  runner_.begin(events.notice);
  const std::vector<StagePlan> stages = plan(picture.info(), constant_alpha, options, events);
  double total = 0;
  bool tiled = false;
  for (const StagePlan& stage : stages) {
    total += stage.work();
    tiled = tiled || stage.grid.columns() * stage.grid.rows() > 1;
  }
  if (exact() && options_.overlap && tiled && events.notice) {
    events.notice(
        fmt::format("--overlap is not used: tiles of this model share its whole halo of "
                    "{} pixels and are exact",
                    footprint_.halo));
  }
  double done = 0;
  const auto heartbeat = [&](double pixels) {
    if (stop.stop_requested()) throw Error(ErrorCode::interrupted, "interrupted");
    done += pixels;
    if (events.progress) events.progress({std::llround(done), std::llround(total)});
  };

  // The chain is built from its end.
  std::vector<std::unique_ptr<RowSink>> chain;
  RowSink* next = &result;
  const auto put_before = [&](std::unique_ptr<RowSink> sink) {
    chain.push_back(std::move(sink));
    next = chain.back().get();
  };
  const FrameInfo& made = stages.back().result;
  if (made.size != wanted.size) put_before(std::make_unique<Resampler>(made, wanted, *next));
  for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) {
    put_before(std::make_unique<NetworkStage>(*stage, runner_, heartbeat, *next));
  }
  pass_rows(picture, *next);
  const TileCount count = runner_.count();
  if (count.repaired > 0 && events.notice) {
    events.notice(
        fmt::format("{} of {} tiles overflowed half precision and were computed again in "
                    "single precision",
                    count.repaired, count.made));
  }
  return count;
}

Frame Upscaler::run(const Frame& picture, const UpscaleOptions& options,
                    const UpscaleEvents& events, const std::stop_token& stop) {
  Frame result(result_info(picture.info(), options));
  FrameSource source(picture);
  FrameSink sink(result);
  FrameSource scanned(picture);
  const bool constant_alpha = picture.has_alpha() && has_constant_alpha(scanned);
  run(source, constant_alpha, sink, options, events, stop);
  return result;
}

}  // namespace upres
