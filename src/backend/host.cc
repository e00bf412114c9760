// SPDX-License-Identifier: Apache-2.0
#include "backend/host.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <list>
#include <utility>

#include "base/error.h"
#include "base/system.h"
#include "tensor/tensor.h"

namespace upres {
namespace {

// A picture cut into tiles has at most four sizes of them; twice that serves colour and alpha of a
// folder of pictures. A plan holds no activations, so a cached one is small.
constexpr size_t kCachedPlans = 8;

// Large enough that the shared pixels of RRDBNet x4 (8 to 10 KiB a pixel) cost about a quarter,
// small enough for a machine of 4 GiB.
constexpr size_t kTileBudget = size_t(1) << 30;

// Below this the rows that neighbouring bands both make cost too much.
constexpr int kLeastBandRows = 32;

/// body(first, last) over the rows 0..count-1, shared out to all threads.
template <typename Body>
void parallel_rows(int count, Body&& body) {
#pragma omp parallel
  {
    const int threads = omp_get_num_threads();
    const int thread = omp_get_thread_num();
    const auto begin = [&](int index) { return int(int64_t(count) * index / threads); };
    body(begin(thread), begin(thread + 1));
  }
}

class HostSession : public Session {
 public:
  explicit HostSession(const HostEngine& engine) : engine_(engine) {}

  bool plan(Size read) override { return find_or_make(engine_.padded(read)) != nullptr; }

  void submit(const Job& job) override {
    use_threads(engine_.options());
    const Size padded = engine_.padded(job.read.size());
    const Plan* plan = find_or_make(padded);
    if (!plan) {
      fail(ErrorCode::memory, "a tile of {}x{} pixels needs {} MiB of memory; use a smaller tile",
           padded.width, padded.height, engine_.bytes_needed(padded) >> 20);
    }
    const HostLayout& layout = plan->layout;
    const auto values = [&](size_t band, ValueId id) {
      return engine_.activations(layout, band, id, arena_.data());
    };
    const Activations input = values(0, engine_.graph().input());
    parallel_rows(padded.height, [&](int first, int last) {
      gather(job.src, job.read, input, padded.width, first, last);
    });
    const auto tell = [&](double share) {
      if (job.heartbeat) job.heartbeat(share);
    };
    const std::vector<double>& shares = engine_.share_done();
    for (size_t node = 0; node < layout.first_banded; ++node) {
      plan->program->run(node, 0, arena_.data());
      tell(shares[node]);
    }
    const double before = layout.first_banded > 0 ? shares[layout.first_banded - 1] : 0;
    const size_t bands = layout.bands.size();
    for (size_t band = 0; band < bands; ++band) {
      for (size_t node = layout.first_banded; node < shares.size(); ++node) {
        plan->program->run(node, band, arena_.data());
      }
      store_band(job, values(band, engine_.graph().output()),
                 layout.bands[band][size_t(engine_.graph().output())]);
      tell(band + 1 == bands ? 1 : before + (1 - before) * double(band + 1) / double(bands));
    }
  }

  void wait() override {}

 private:
  struct Plan {
    HostLayout layout;
    std::unique_ptr<HostProgram> program;
  };

  /// Null when there is not enough memory.
  const Plan* find_or_make(Size padded) {
    for (auto plan = plans_.begin(); plan != plans_.end(); ++plan) {
      if (plan->layout.padded != padded) continue;
      plans_.splice(plans_.begin(), plans_, plan);  // the most recently used comes first
      return &plans_.front();
    }
    use_threads(engine_.options());
    HostLayout layout = engine_.plan_layout(padded);
    if (!reserve(layout.arena.size_bytes)) return nullptr;
    auto program = engine_.prepare(layout);
    plans_.push_front({std::move(layout), std::move(program)});
    if (plans_.size() > kCachedPlans) plans_.pop_back();
    return &plans_.front();
  }

  /// Stores what a job wants of the result's rows `made`, which begin at `result`.
  void store_band(const Job& job, Activations result, Interval made) const {
    const int first = std::max(made.first - job.skip.y, 0);
    const int count = std::min(made.last + 1 - job.skip.y, job.write.height) - first;
    if (count <= 0) return;
    result.data = result.pixel(job.skip.x, first + job.skip.y - made.first);
    const Rect write{job.write.x, job.write.y + first, job.write.width, count};
    parallel_rows(count,
                  [&](int begin, int end) { engine_.store(result, job.dst, write, begin, end); });
  }

  bool reserve(size_t size_bytes) {
    if (size_bytes <= arena_.size_bytes()) return true;
    if (size_bytes > memory_available(engine_.options(), 0)) return false;
    try {
      arena_ = Buffer(size_bytes);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::memory) throw;
      return false;
    }
    return true;
  }

  const HostEngine& engine_;
  Buffer arena_;  ///< as large as the largest plan needs
  std::list<Plan> plans_;
};

}  // namespace

HostEngine::HostEngine(Graph graph, const DeviceOptions& options)
    : graph_(std::move(graph)), options_(options), alignment_(footprint(graph_).alignment) {
  const double total = flops_per_pixel(graph_);
  double done = 0;
  for (const Node& node : graph_.nodes()) {
    done += flops_per_pixel(graph_, node);
    share_done_.push_back(total > 0 ? done / total : 1);
  }
}

std::unique_ptr<Session> HostEngine::open() const {
  return std::make_unique<HostSession>(*this);
}

size_t HostEngine::bytes_needed(Size read) const {
  return plan_layout(padded(read)).arena.size_bytes;
}

Size HostEngine::padded(Size read) const {
  return upres::padded(read, alignment_);
}

HostLayout HostEngine::plan_layout(Size padded) const {
  const auto bytes = [&](ValueId storage, int rows) {
    return storage_bytes(storage, padded, rows);
  };
  HostLayout layout{padded, find_tail(graph_), {}, {}, 0};
  layout.bands =
      cut_tail(graph_, layout.first_banded, padded, bytes, band_limit_bytes(), kLeastBandRows);
  layout.arena = plan_arena(
      graph_, [&](ValueId id) { return bytes(id, most_rows(layout.bands, id)); },
      layout.first_banded);
  layout.scratch_offset = layout.arena.size_bytes;
  layout.arena.size_bytes += scratch_bytes();
  return layout;
}

void HostEngine::store(const Activations& src, const FrameView& dst, const Rect& write,
                       int first_row, int last_row) const {
  upres::store(src, dst, write, first_row, last_row);
}

size_t HostDevice::tile_budget() const {
  return kTileBudget;
}

size_t HostDevice::memory_available(size_t host_bytes) const {
  return upres::memory_available(options_, host_bytes);
}

size_t memory_available(const DeviceOptions& options, size_t host_bytes) {
  const size_t available = available_memory();
  const size_t left = available > host_bytes ? available - host_bytes : 0;
  return options.memory_limit > 0 ? std::min(options.memory_limit, left) : left;
}

int thread_count(const DeviceOptions& options) {
  return options.threads > 0 ? options.threads : processor_count();
}

void use_threads(const DeviceOptions& options) {
  omp_set_num_threads(thread_count(options));
}

}  // namespace upres
