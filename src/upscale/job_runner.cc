// SPDX-License-Identifier: Apache-2.0
#include "upscale/job_runner.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "pixel/blend.h"
#include "tile/window.h"
#include "upscale/float_frame.h"

namespace upres {
namespace {

/// False when memory runs out meanwhile.
template <typename Work>
bool fits(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::memory) throw;
    return false;
  }
  return true;
}

Rect intersection(const Rect& a, const Rect& b) {
  const int x = std::max(a.x, b.x);
  const int y = std::max(a.y, b.y);
  return {x, y, std::min(a.right(), b.right()) - x, std::min(a.bottom(), b.bottom()) - y};
}

Rect moved(const Rect& rect, int dx, int dy) {
  return {rect.x + dx, rect.y + dy, rect.width, rect.height};
}

/// What tells `heartbeat` of one part of its job, of `count` equal ones.
std::function<void(double)> heartbeat_of_part(const std::function<void(double)>& heartbeat,
                                              size_t index, size_t count) {
  if (!heartbeat) return {};
  return [=](double share) { heartbeat((double(index) + share) / double(count)); };
}

}  // namespace

JobRunner::JobRunner(const Engine& engine, TileJoin join)
    : engine_(engine), join_(join), session_(engine.open()) {}

void JobRunner::begin(std::function<void(const std::string&)> notice) {
  notice_ = std::move(notice);
  jobs_.clear();
  limit_ = {kNoLimit, kNoLimit};
  count_ = {0, session_ ? -session_->repaired() : 0};
}

bool JobRunner::plan(Size read) {
  bool planned = false;
  return fits([&] { planned = session().plan(read); }) && planned;
}

void JobRunner::submit(Job job) {
  jobs_.push_back(std::move(job));
  if (!fits([&] { start(jobs_.back()); })) run_in_smaller_tiles();
}

void JobRunner::wait() {
  if (!fits([&] { session().wait(); })) run_in_smaller_tiles();
  jobs_.clear();
}

TileCount JobRunner::count() const {
  return {count_.made, count_.repaired + (session_ ? session_->repaired() : 0)};
}

Session& JobRunner::session() {
  if (!session_) session_ = engine_.open();
  return *session_;
}

void JobRunner::start(const Job& job) {
  const Size read = job.read.size();
  if (read.width <= limit_.width && read.height <= limit_.height) {
    session().submit(job);
    ++count_.made;
    return;
  }
  const TileGrid grid(read, limit_, join_.overlap, join_.alignment);
  join_.exact ? start_cut(job, grid) : run_blended(job, grid);
}

void JobRunner::start_cut(const Job& job, const TileGrid& grid) {
  const Rect wanted = {job.skip.x, job.skip.y, job.write.width, job.write.height};
  std::vector<Job> parts;
  for (int row = 0; row < grid.rows(); ++row) {
    for (int column = 0; column < grid.columns(); ++column) {
      const auto [read, keep] = grid.tile(column, row);
      const Rect kept = intersection(scaled(keep, join_.scale), wanted);
      if (kept.width <= 0 || kept.height <= 0) continue;
      Job part = job;
      part.read = moved(read, job.read.x, job.read.y);
      part.write = moved(kept, job.write.x - job.skip.x, job.write.y - job.skip.y);
      part.skip = {kept.x - read.x * join_.scale, kept.y - read.y * join_.scale};
      parts.push_back(std::move(part));
    }
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    parts[i].heartbeat = heartbeat_of_part(job.heartbeat, i, parts.size());
    session().submit(parts[i]);
    ++count_.made;
  }
}

void JobRunner::run_blended(const Job& job, const TileGrid& grid) {
  const auto size_of = [&](Size read) { return scaled(whole(read), join_.scale).size(); };
  Frame sum(float_info(size_of(job.read.size())));
  Frame tile(float_info(size_of(grid.largest())));
  clear(sum);
  const auto column_weights = blend_windows(grid.read_x(), join_.scale);
  const auto row_weights = blend_windows(grid.read_y(), join_.scale);
  const size_t count = column_weights.size() * row_weights.size();
  for (size_t i = 0; i < count; ++i) {
    const size_t column = i % column_weights.size();
    const size_t row = i / column_weights.size();
    const Rect read = grid.tile(int(column), int(row)).read;
    session().submit({.src = job.src,
                      .read = moved(read, job.read.x, job.read.y),
                      .dst = tile.colour(),
                      .write = whole(size_of(read.size())),
                      .heartbeat = heartbeat_of_part(job.heartbeat, i, count)});
    session().wait();
    ++count_.made;
    add_weighted(activations(tile), column_weights[column], row_weights[row], activations(sum),
                 {read.x * join_.scale, read.y * join_.scale});
  }
  Activations result = activations(sum);
  result.data = result.pixel(job.skip.x, job.skip.y);
  store(result, job.dst, job.write, 0, job.write.height);
}

void JobRunner::run_in_smaller_tiles() {
  const auto run_all = [&] {
    for (const Job& job : jobs_) start(job);
    session().wait();
  };
  do {
    lower_limit();
    // What the session holds for larger tiles is let go of.
    if (session_) count_.repaired += session_->repaired();
    session_.reset();
  } while (!fits(run_all));
  jobs_.clear();
}

void JobRunner::lower_limit() {
  Size largest = {};
  for (const Job& job : jobs_) {
    largest = {std::max(largest.width, job.read.width), std::max(largest.height, job.read.height)};
  }
  const Size tried = {std::min(limit_.width, largest.width),
                      std::min(limit_.height, largest.height)};
  const auto smaller = [&](int side) {
    return std::max(std::min(side, kSmallestSide + join_.overlap), side / 2);
  };
  const bool first = limit_.width == kNoLimit;
  limit_ = {smaller(tried.width), smaller(tried.height)};
  if (limit_ == tried) {
    fail(ErrorCode::memory,
         "memory ran out while the picture was made, even for a tile of {}x{} pixels; close other "
         "programs, or try again later",
         tried.width, tried.height);
  }
  if (first && notice_) {
    notice_("memory ran out while the picture was made; the rest of it is made in smaller tiles");
  }
}

}  // namespace upres
