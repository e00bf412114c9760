// SPDX-License-Identifier: Apache-2.0
#include "upscale/upscaler.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "pixel/blend.h"
#include "pixel/convert.h"
#include "pixel/resample.h"
#include "pixel/sample.h"
#include "tile/window.h"

namespace upres {
namespace {

// What the activations of one tile may take when the tile is automatic. Large enough that the
// shared pixels of RRDBNet x4 (8 to 10 KiB a pixel) cost about a quarter, small enough for a
// machine of 4 GiB.
constexpr double kTileBudget = double(1 << 30);

// Keeps every coordinate of a result, and sums of two, within an int.
constexpr int kMaxSide = 1 << 28;

// Below this a tile is mostly what it shares with its neighbours.
constexpr int kSmallestSide = 32;

/// Floats of a packed picture of three components.
struct FloatPicture {
  explicit FloatPicture(Size size) : frame(size, SampleType::f32, 3) {}

  Activations activations() {
    const ptrdiff_t row = ptrdiff_t(frame.size().width) * 3;
    return {reinterpret_cast<float*>(frame.data()), 3, 1, row, 3};
  }
  void clear() { std::memset(frame.data(), 0, frame.total_bytes()); }

  Frame frame;
};

/// Runs the network over one picture of one or three components, tile by tile.
class Pass {
 public:
  Pass(Session& session, const TileGrid& grid, int scale, std::function<void(double)> heartbeat)
      : session_(session), grid_(grid), scale_(scale), heartbeat_(std::move(heartbeat)) {}

  /// Tiles that are cut where they meet: each result goes straight to its place.
  void run_cut(const FrameView& src, const FrameView& dst) {
    for_each_tile([&](int column, int row) {
      const Tile tile = grid_.tile(column, row);
      const Rect write = scaled(tile.keep, scale_);
      submit({.src = src,
              .read = tile.read,
              .dst = dst,
              .write = write,
              .skip = {write.x - tile.read.x * scale_, write.y - tile.read.y * scale_}},
             tile.read);
    });
    session_.wait();
  }

  /// Tiles that are mixed where they overlap. `sum` holds one row of tiles; what the next row adds
  /// to is kept when the rest is stored.
  void run_blended(const FrameView& src, const FrameView& dst) {
    const auto column_weights = blend_windows(grid_.read_x(), scale_);
    const auto row_weights = blend_windows(grid_.read_y(), scale_);
    const Size largest = grid_.largest();
    FloatPicture result({largest.width * scale_, largest.height * scale_});
    FloatPicture sum({dst.size.width, largest.height * scale_});
    sum.clear();
    for_each_tile([&](int column, int row) {
      const Rect read = grid_.tile(column, row).read;
      const Rect write = scaled({0, 0, read.width, read.height}, scale_);
      submit({.src = src, .read = read, .dst = result.frame.colour(), .write = write}, read);
      session_.wait();
      add_weighted(result.activations(), column_weights[size_t(column)], row_weights[size_t(row)],
                   sum.activations(), {read.x * scale_, 0});
      if (column + 1 == grid_.columns()) finish_row(row, sum, dst);
    });
  }

 private:
  template <typename Body>
  void for_each_tile(Body&& body) {
    for (int row = 0; row < grid_.rows(); ++row) {
      for (int column = 0; column < grid_.columns(); ++column) body(column, row);
    }
  }

  void submit(Job job, const Rect& read) {
    const double pixels = double(read.width) * read.height;
    job.heartbeat = [this, pixels](double share) { heartbeat_(done_ + pixels * share); };
    session_.submit(job);
    done_ += pixels;
    heartbeat_(done_);
  }

  /// Stores the rows that no later tile adds to, and moves the others to the top of `sum`.
  void finish_row(int row, FloatPicture& sum, const FrameView& dst) {
    const std::vector<Span>& rows = grid_.read_y();
    const Span span = rows[size_t(row)];
    const int next = row + 1 < grid_.rows() ? rows[size_t(row) + 1].begin : span.end;
    const int finished = (next - span.begin) * scale_;
    store(sum.activations(), dst, {0, span.begin * scale_, dst.size.width, finished}, 0, finished);
    const size_t bytes = size_t(finished) * sum.frame.row_bytes();
    std::byte* data = sum.frame.data();
    std::memmove(data, data + bytes, sum.frame.total_bytes() - bytes);
    std::memset(data + sum.frame.total_bytes() - bytes, 0, bytes);
  }

  Session& session_;
  const TileGrid& grid_;
  int scale_;
  std::function<void(double)> heartbeat_;
  double done_ = 0;  ///< pixels read by finished tiles
};

double pixels_read(const TileGrid& grid) {
  double pixels = 0;
  for (int row = 0; row < grid.rows(); ++row) {
    for (int column = 0; column < grid.columns(); ++column) {
      const Rect read = grid.tile(column, row).read;
      pixels += double(read.width) * read.height;
    }
  }
  return pixels;
}

/// True when all samples of a gray picture are the same.
bool constant(const FrameView& view) {
  const Plane& plane = view.planes[0];
  const size_t bytes = size_bytes(view.type);
  for (int y = 0; y < view.size.height; ++y) {
    for (int x = 0; x < view.size.width; ++x) {
      const std::byte* sample = plane.data + y * plane.row_bytes + x * plane.step_bytes;
      if (std::memcmp(sample, plane.data, bytes) != 0) return false;
    }
  }
  return true;
}

/// Gives every sample of `dst` the value of the first one of `src`.
void fill(const FrameView& src, const FrameView& dst) {
  float value = 0;
  with_sample_type(src.type, [&](auto sample) {
    std::memcpy(&sample, src.planes[0].data, sizeof(sample));
    value = from_sample(sample);
  });
  const Plane& plane = dst.planes[0];
  with_sample_type(dst.type, [&](auto sample) {
    sample = to_sample<decltype(sample)>(value);
    for (int y = 0; y < dst.size.height; ++y) {
      for (int x = 0; x < dst.size.width; ++x) {
        std::memcpy(plane.data + y * plane.row_bytes + x * plane.step_bytes, &sample,
                    sizeof(sample));
      }
    }
  });
}

}  // namespace

Upscaler::Upscaler(const Device& device, const Engine& engine, const Graph& graph,
                   TileOptions tiles)
    : device_(device),
      engine_(engine),
      scale_(graph.scale()),
      footprint_(upres::footprint(graph)),
      bytes_per_pixel_(activation_bytes_per_pixel(graph)),
      options_(tiles),
      session_(engine.open()) {}

Size Upscaler::output_size(Size picture, std::optional<double> scale) const {
  const double factor = scale.value_or(scale_);
  const auto side = [&](int pixels) {
    const double scaled = std::max(1.0, std::round(pixels * factor));
    if (scaled > kMaxSide) {
      fail(ErrorCode::input, "{} pixels times {} is more than {} pixels a side; use a smaller -s",
           pixels, factor, kMaxSide);
    }
    return int(scaled);
  };
  return {side(picture.width), side(picture.height)};
}

size_t Upscaler::bytes_needed(const Frame& picture, std::optional<double> scale) const {
  const auto samples = [&](Size size) {
    return size_t(size.width) * size_t(size.height) * size_t(picture.channels());
  };
  const Size native = output_size(picture.size(), std::nullopt);
  const Size wanted = output_size(picture.size(), scale);
  const size_t native_sample = native == wanted ? size_bytes(picture.type()) : sizeof(uint16_t);
  size_t bytes = samples(native) * native_sample;
  if (native != wanted) bytes += samples(wanted) * size_bytes(picture.type());
  const int side = wanted_side(picture.size());
  const bool blended = !exact() && side < std::max(picture.size().width, picture.size().height);
  if (blended) {  // a row of tiles in floats
    const int rows = std::min(picture.size().height, side + overlap()) * scale_;
    bytes += size_t(native.width) * size_t(rows) * 3 * sizeof(float);
  }
  return bytes;
}

int Upscaler::overlap() const {
  return exact() ? 2 * footprint_.halo : options_.overlap.value_or(kDefaultOverlap);
}

int Upscaler::wanted_side(Size picture) const {
  const int longest = std::max(picture.width, picture.height);
  const bool fits_budget = double(picture.width) * picture.height * bytes_per_pixel_ <= kTileBudget;
  const int automatic = int(std::sqrt(kTileBudget / bytes_per_pixel_)) - overlap();
  const int side = options_.side.value_or(fits_budget ? 0 : std::max(kSmallestSide, automatic));
  return side == 0 ? longest : std::min(side, longest);
}

TileGrid Upscaler::choose_grid(Size picture, size_t host_bytes, const UpscaleEvents& events) {
  const int longest = std::max(picture.width, picture.height);
  const int wanted = wanted_side(picture);
  for (int side = wanted;; side = std::max(kSmallestSide, side / 2)) {
    TileGrid grid(picture, side + (side < longest ? overlap() : 0), overlap(),
                  footprint_.alignment);
    const size_t needed = engine_.bytes_needed(grid.largest());
    const size_t available = device_.memory_available(host_bytes);
    if (needed <= available && session_->plan(grid.largest())) {
      if (side < wanted && events.notice) {
        events.notice(fmt::format("tiles of {} instead of {} pixels, to fit the memory at hand",
                                  side, wanted));
      }
      return grid;
    }
    if (side <= kSmallestSide) {
      fail(ErrorCode::memory,
           "not enough memory: even a tile of {} pixels needs {} MiB and {} MiB are free", side,
           needed >> 20, available >> 20);
    }
  }
}

Frame Upscaler::run(const Frame& picture, std::optional<double> scale, const UpscaleEvents& events,
                    std::stop_token stop) {
  const bool resampled = output_size(picture.size(), scale) != output_size(picture.size(), {});
  const TileGrid grid = choose_grid(picture.size(), bytes_needed(picture, scale), events);
  if (events.planned) events.planned(grid);
  const bool single = grid.columns() * grid.rows() == 1;
  if (exact() && options_.overlap && !single && events.notice) {
    events.notice(
        fmt::format("--overlap is not used: tiles of this model share its whole halo of "
                    "{} pixels and are exact",
                    footprint_.halo));
  }

  // 16 bits keep what an 8-bit picture would lose between the network and the resampling.
  Frame result(output_size(picture.size(), {}), resampled ? SampleType::u16 : picture.type(),
               picture.channels());
  const bool alpha_runs = picture.has_alpha() && !constant(picture.alpha());
  const double pixels = pixels_read(grid);
  Progress progress{.pixels_total = int64_t(pixels * scale_ * scale_ * (alpha_runs ? 2 : 1))};
  const auto run_pass = [&](const FrameView& src, const FrameView& dst, double pixels_before) {
    const auto heartbeat = [&](double pixels_done) {
      if (stop.stop_requested()) throw Error(ErrorCode::interrupted, "interrupted");
      progress.pixels_done = int64_t((pixels_before + pixels_done) * scale_ * scale_);
      if (events.progress) events.progress(progress);
    };
    Pass pass(*session_, grid, scale_, heartbeat);
    if (exact() || single) {
      pass.run_cut(src, dst);
    } else {
      pass.run_blended(src, dst);
    }
  };
  run_pass(picture.colour(), result.colour(), 0);
  if (alpha_runs) run_pass(picture.alpha(), result.alpha(), pixels);
  if (picture.has_alpha() && !alpha_runs) fill(picture.alpha(), result.alpha());
  if (!resampled) return result;
  Frame resized(output_size(picture.size(), scale), picture.type(), picture.channels());
  resample(result, resized);
  return resized;
}

}  // namespace upres
