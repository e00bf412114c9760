// SPDX-License-Identifier: Apache-2.0
#include "upscale/network_stage.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"
#include "frame/oriented.h"
#include "pixel/blend.h"
#include "pixel/convert.h"
#include "pixel/sample.h"
#include "tile/window.h"
#include "upscale/float_frame.h"

namespace upres {
namespace {

// Of a stage's strips one is being made, one waits and one is being encoded.
constexpr size_t kStripsAlive = 3;

Size times(Size size, int scale) {
  return {size.width * scale, size.height * scale};
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

double StagePlan::work() const {
  const int passes = (alpha_runs ? 2 : 1) * (eight_ways ? int(kOrientations.size()) : 1);
  return grid.pixels_read() * scale * scale * passes;
}

size_t StagePlan::bytes_needed() const {
  const auto tile_height = size_t(grid.largest().height);
  const size_t result_height = tile_height * size_t(scale);
  size_t bytes = tile_height * picture.row_bytes();
  bytes += kStripsAlive * result_height * result.row_bytes();
  const size_t floats_row = float_info({result.size.width, 1}).row_bytes();
  if (blended) bytes += result_height * floats_row * (alpha_runs ? 2 : 1);
  const size_t tile_bytes = float_info(times(grid.largest(), scale)).total_bytes();
  if (blended || eight_ways) bytes += tile_bytes;
  if (eight_ways) bytes += tile_bytes;
  return bytes;
}

NetworkStage::NetworkStage(StagePlan plan, JobRunner& runner, std::function<void(double)> heartbeat,
                           RowSink& next)
    : plan_(std::move(plan)), runner_(runner), heartbeat_(std::move(heartbeat)), next_(next) {
  const Size tile = plan_.grid.largest();
  if (plan_.blended || plan_.eight_ways) tile_ = Frame(float_info(times(tile, plan_.scale)));
  if (plan_.eight_ways) turned_ = Frame(float_info(times(tile, plan_.scale)));
  parts_.push_back({&Frame::colour, {}});
  if (plan_.alpha_runs) parts_.push_back({&Frame::alpha, {}});
  if (!plan_.blended) return;
  for (Part& part : parts_) {
    part.sum = Frame(float_info({plan_.result.size.width, tile.height * plan_.scale}));
    clear(part.sum);
  }
}

void NetworkStage::write(Frame rows) {
  const int height = rows.size().height;
  for (int taken = 0; taken < height;) {
    const Span needed = plan_.grid.read_y()[size_t(row_)];
    const int next = window_first_ + window_rows_;
    if (needed.begin == next && needed.end <= next + height - taken) {
      // Nothing waits, and the strip has all that is needed: it is the window.
      window_ = std::move(rows);
      window_first_ = next - taken;
      window_rows_ = height;
      while (row_ < plan_.grid.rows() &&
             plan_.grid.read_y()[size_t(row_)].end <= window_first_ + height) {
        run_row();
      }
      return;
    }
    keep(needed);
    const int missing = needed.end - next;
    const int count = std::min(missing, height - taken);
    copy_rows(rows, taken, window_, window_rows_, count);
    taken += count;
    window_rows_ += count;
    if (count == missing) run_row();
  }
}

void NetworkStage::keep(const Span& needed) {
  const int unneeded = needed.begin - window_first_;
  const int kept = window_rows_ - unneeded;
  if (window_.size().height < needed.end - needed.begin) {
    Frame larger({plan_.picture.size.width, plan_.grid.largest().height}, plan_.picture.type,
                 plan_.picture.channels);
    if (kept > 0) copy_rows(window_, unneeded, larger, 0, kept);
    window_ = std::move(larger);
  } else if (unneeded > 0) {
    std::memmove(window_.data(), window_.row(unneeded), size_t(kept) * window_.row_bytes());
  }
  window_first_ = needed.begin;
  window_rows_ = kept;
}

void NetworkStage::run_row() {
  Frame result({plan_.result.size.width, rows_finished() * plan_.scale}, plan_.result.type,
               plan_.result.channels);
  for (Part& part : parts_) {
    plan_.blended ? run_blended(part, result) : run_cut(part, result);
  }
  if (result.has_alpha() && !plan_.alpha_runs) fill(window_.alpha(), result.alpha());
  ++row_;
  next_.write(std::move(result));
}

int NetworkStage::rows_finished() const {
  const auto& reads = plan_.grid.read_y();
  const auto row = size_t(row_);
  if (!plan_.blended) return plan_.grid.tile(0, row_).keep.height;
  return (row + 1 < reads.size() ? reads[row + 1].begin : reads[row].end) - reads[row].begin;
}

Rect NetworkStage::in_window(const Rect& read) const {
  return {read.x, read.y - window_first_, read.width, read.height};
}

void NetworkStage::run_cut(Part& part, const Frame& result) {
  const FrameView src = (window_.*part.view)();
  const FrameView dst = (result.*part.view)();
  for (int column = 0; column < plan_.grid.columns(); ++column) {
    const auto [read, keep] = plan_.grid.tile(column, row_);
    const Rect write = scaled({keep.x, 0, keep.width, keep.height}, plan_.scale);
    const Point skip = {(keep.x - read.x) * plan_.scale, (keep.y - read.y) * plan_.scale};
    if (plan_.eight_ways) {
      run_into_tile(src, in_window(read));
      Activations kept = activations(tile_);
      kept.data = kept.pixel(skip.x, skip.y);
      store(kept, dst, write, 0, write.height);
    } else {
      submit({.src = src, .read = in_window(read), .dst = dst, .write = write, .skip = skip});
    }
  }
  runner_.wait();
}

void NetworkStage::run_blended(Part& part, const Frame& result) {
  const auto column_weights = blend_windows(plan_.grid.read_x(), plan_.scale);
  const auto row_weights = blend_windows(plan_.grid.read_y(), plan_.scale);
  const FrameView src = (window_.*part.view)();
  for (int column = 0; column < plan_.grid.columns(); ++column) {
    const Rect read = plan_.grid.tile(column, row_).read;
    run_into_tile(src, in_window(read));
    add_weighted(activations(tile_), column_weights[size_t(column)], row_weights[size_t(row_)],
                 activations(part.sum), {read.x * plan_.scale, 0});
  }
  // The rows that the next row of tiles adds to move to the top.
  store(activations(part.sum), (result.*part.view)(), whole(result.size()), 0,
        result.size().height);
  const size_t finished = size_t(result.size().height) * part.sum.row_bytes();
  const size_t kept = part.sum.total_bytes() - finished;
  std::memmove(part.sum.data(), part.sum.data() + finished, kept);
  std::memset(part.sum.data() + kept, 0, finished);
}

void NetworkStage::run_into_tile(const FrameView& src, const Rect& read) {
  const Rect written = scaled(whole(read.size()), plan_.scale);
  if (!plan_.eight_ways) {
    submit({.src = src, .read = read, .dst = tile_.colour(), .write = written});
    return runner_.wait();
  }
  clear(tile_);
  const std::vector<float> columns(size_t(written.width), 1.0f / float(kOrientations.size()));
  const std::vector<float> rows(size_t(written.height), 1.0f);
  for (const Orientation& orientation : kOrientations) {
    const FrameView from = oriented(cropped(src, read), orientation);
    const FrameView to = oriented(cropped(turned_.colour(), written), orientation);
    submit({.src = from, .read = whole(from.size), .dst = to, .write = whole(to.size)});
    runner_.wait();
    add_weighted(activations(turned_), columns, rows, activations(tile_), {0, 0});
  }
}

void NetworkStage::submit(Job job) {
  const double pixels = double(job.read.width) * job.read.height * plan_.scale * plan_.scale;
  // A job may be begun anew: what was told of it once stays told.
  job.heartbeat = [this, pixels, told = std::make_shared<double>(0)](double share) {
    const double made = std::max(*told, pixels * share);
    heartbeat_(made - std::exchange(*told, made));
  };
  runner_.submit(std::move(job));
}

}  // namespace upres
