// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/session.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "backend/cuda/elementwise.h"
#include "base/error.h"
#include "graph/footprint.h"

namespace upres::cuda {
namespace {

// A picture cut into tiles has at most four sizes of them; twice that serves a folder of pictures.
constexpr size_t kCachedPlans = 8;

// Jobs on their way: one runs while the next one's samples are brought and the last one's taken.
constexpr size_t kSlots = 2;

/// Copies a rectangle of a view into packed memory, or back, whatever its strides.
template <bool kToPacked>
void copy_rectangle(const FrameView& view, const Rect& rect, std::byte* packed) {
  const auto sample = ptrdiff_t(size_bytes(view.type));
  const ptrdiff_t pixel = sample * view.components;
  const ptrdiff_t packed_row = pixel * rect.width;
  bool dense = view.planes[0].step_bytes == pixel;
  for (int c = 1; c < view.components; ++c) {
    const Plane& plane = view.planes[size_t(c)];
    dense = dense && plane.step_bytes == pixel && plane.row_bytes == view.planes[0].row_bytes &&
            plane.data == view.planes[0].data + c * sample;
  }
  for (int y = 0; y < rect.height; ++y) {
    std::byte* row = packed + y * packed_row;
    for (int c = 0; c < (dense ? 1 : view.components); ++c) {
      const Plane& plane = view.planes[size_t(c)];
      std::byte* at = plane.data + (rect.y + y) * plane.row_bytes + rect.x * plane.step_bytes;
      if (dense) {
        kToPacked ? std::memcpy(row, at, size_t(packed_row))
                  : std::memcpy(at, row, size_t(packed_row));
        continue;
      }
      std::byte* one = row + c * sample;
      for (int x = 0; x < rect.width; ++x, at += plane.step_bytes, one += pixel) {
        kToPacked ? std::memcpy(one, at, size_t(sample)) : std::memcpy(at, one, size_t(sample));
      }
    }
  }
}

/// Grows a buffer to at least so many bytes.
template <typename Buffer>
void reserve(Buffer& buffer, size_t size_bytes) {
  if (buffer.size_bytes() >= size_bytes) return;
  buffer = Buffer();
  buffer = Buffer(size_bytes);
}

class CudaSession : public Session {
 public:
  explicit CudaSession(const CudaEngine& engine) : engine_(engine) {
    engine_.use_gpu();
    stream_ = make_stream();
    for (Slot& slot : slots_) slot.finished = make_event();
  }
  ~CudaSession() override {
    engine_.use_gpu();
    cudaStreamSynchronize(stream_.get());
  }

  bool plan(Size read) override {
    engine_.use_gpu();
    return find_or_make(engine_.padded(read)) != nullptr;
  }

  void submit(const Job& job) override {
    engine_.use_gpu();
    or_drop_all([&] { start(job); });
  }

  void wait() override {
    engine_.use_gpu();
    or_drop_all([&] { finish_all(); });
  }

 private:
  struct Plan {
    Size padded;
    ArenaPlan arena;
    Recording network;
  };
  /// One job's samples on their way.
  struct Slot {
    std::optional<Job> job;  ///< whose result is not yet in its place
    PinnedBuffer host_src, host_dst;
    DeviceBuffer device_src, device_dst;
    Event finished;
  };

  void start(const Job& job) {
    const Size padded = engine_.padded(job.read.size());
    const Plan* plan = find_or_make(padded);
    if (!plan) {
      fail(ErrorCode::memory,
           "a tile of {}x{} pixels needs {} MiB of the GPU's memory; use a smaller tile",
           padded.width, padded.height, engine_.bytes_needed(padded) >> 20);
    }
    Slot& slot = slots_[next_slot_];
    next_slot_ = (next_slot_ + 1) % kSlots;
    finish(slot);

    Packed src{nullptr, job.read.size(), job.src.type, job.src.components};
    Packed dst{nullptr, job.write.size(), job.dst.type, job.dst.components};
    reserve(slot.host_src, src.total_bytes());
    reserve(slot.host_dst, dst.total_bytes());
    reserve(slot.device_src, src.total_bytes());
    reserve(slot.device_dst, dst.total_bytes());
    src.data = slot.device_src.data();
    dst.data = slot.device_dst.data();

    copy_rectangle<true>(job.src, job.read, slot.host_src.data());
    cudaStream_t stream = stream_.get();
    check(cudaMemcpyAsync(src.data, slot.host_src.data(), src.total_bytes(), cudaMemcpyHostToDevice,
                          stream),
          "copying a picture to the GPU");
    const Graph& graph = engine_.graph();
    gather(src, engine_.activations(graph.input(), padded, plan->arena, arena_.data()), stream);
    check(cudaGraphLaunch(plan->network.get(), stream), "starting the network");
    store(engine_.activations(graph.output(), padded, plan->arena, arena_.data()), job.skip, dst,
          stream);
    check(cudaMemcpyAsync(slot.host_dst.data(), dst.data, dst.total_bytes(), cudaMemcpyDeviceToHost,
                          stream),
          "copying a picture from the GPU");
    check(cudaEventRecord(slot.finished.get(), stream), "recording an event");
    slot.job = job;
  }

  void finish_all() {
    for (size_t i = 0; i < kSlots; ++i) finish(slots_[(next_slot_ + i) % kSlots]);
  }

  /// After an exception nothing runs and no job is remembered.
  template <typename Work>
  void or_drop_all(Work&& work) {
    try {
      work();
    } catch (...) {
      cudaStreamSynchronize(stream_.get());
      for (Slot& slot : slots_) slot.job.reset();
      throw;
    }
  }

  void finish(Slot& slot) {
    if (!slot.job) return;
    const Job job = *std::exchange(slot.job, std::nullopt);
    check(cudaEventSynchronize(slot.finished.get()), "running the network");
    copy_rectangle<false>(job.dst, job.write, slot.host_dst.data());
    if (job.heartbeat) job.heartbeat(1);
  }

  /// Null when there is not enough memory.
  const Plan* find_or_make(Size padded) {
    for (auto plan = plans_.begin(); plan != plans_.end(); ++plan) {
      if (plan->padded != padded) continue;
      plans_.splice(plans_.begin(), plans_, plan);  // the most recently used comes first
      return &plans_.front();
    }
    ArenaPlan arena = engine_.plan_arena(padded);
    if (!reserve_arena(arena.size_bytes)) return nullptr;
    Recording network =
        record(stream_.get(), [&] { engine_.launch(padded, arena, arena_.data(), stream_.get()); });
    plans_.push_front({padded, std::move(arena), std::move(network)});
    if (plans_.size() > kCachedPlans) {
      finish_all();  // the last one may be running
      plans_.pop_back();
    }
    return &plans_.front();
  }

  bool reserve_arena(size_t size_bytes) {
    if (size_bytes <= arena_.size_bytes()) return true;
    const size_t limit = engine_.options().memory_limit;
    if (limit > 0 && size_bytes > limit) return false;
    finish_all();
    size_t available = 0;
    size_t total = 0;
    check(cudaMemGetInfo(&available, &total), "asking for the GPU's memory");
    if (size_bytes > available + arena_.size_bytes()) return false;
    // Recordings hold the arena's address.
    plans_.clear();
    arena_ = DeviceBuffer();
    try {
      arena_ = DeviceBuffer(size_bytes);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::memory) throw;
      return false;
    }
    return true;
  }

  const CudaEngine& engine_;
  Stream stream_;
  DeviceBuffer arena_;  ///< as large as the largest plan needs
  std::list<Plan> plans_;
  std::array<Slot, kSlots> slots_;
  size_t next_slot_ = 0;
};

/// One operator goes into a stream.
struct Launch {
  std::span<const Activations16> in;  ///< what the node reads: inputs, then addends
  const Activations16& out;
  const Convolution* convolution;
  const DeviceBuffer* table;
  cudaStream_t stream;

  void operator()(const Conv2d&) const { convolution->launch(in[0], in.subspan(1), out, stream); }
  void operator()(const Activate&) const { activate(in[0], *table, out, stream); }
  void operator()(const Add&) const { add(in[0], in[1], out, stream); }
  void operator()(const Scale& op) const { scale(in[0], op.factor, out, stream); }
  void operator()(const Concat&) const { concat(in, out, stream); }
  void operator()(const Upsample& op) const { upsample(in[0], op.factor, out, stream); }
  void operator()(const PixelShuffle& op) const { pixel_shuffle(in[0], op.factor, out, stream); }
  void operator()(const PixelUnshuffle& op) const {
    pixel_unshuffle(in[0], op.factor, out, stream);
  }
  void operator()(const Resize& op) const { resize(in[0], op, *table, out, stream); }
};

}  // namespace

CudaEngine::CudaEngine(const Graph& graph, const DeviceOptions& options, Precision precision)
    : graph_(graph), options_(options), alignment_(footprint(graph).alignment) {
  // The one place where a precision without kernels is refused: it goes when they come.
  if (precision != Precision::fp16) {
    fail(ErrorCode::usage, "this build has no {} kernels for GPUs; leave the precision out",
         name(precision));
  }
  use_gpu();
  for (Node& node : graph_.nodes()) {
    if (auto* conv = std::get_if<Conv2d>(&node.op)) {
      prepared_.emplace_back(Convolution(*conv));
      conv->weights.reset();  // the packed copy serves from here on
      conv->biases.reset();
    } else if (const auto* op = std::get_if<Activate>(&node.op)) {
      const std::vector<float>& slopes = op->activation.slopes;
      prepared_.emplace_back(DeviceBuffer::of<float>(slopes.empty() ? std::vector{1.0f} : slopes));
    } else if (const auto* resize = std::get_if<Resize>(&node.op)) {
      prepared_.emplace_back(resize_table(*resize));
    } else {
      prepared_.emplace_back();
    }
  }
}

void CudaEngine::use_gpu() const {
  check(cudaSetDevice(options_.gpu), "choosing the GPU");
}

std::unique_ptr<Session> CudaEngine::open() const {
  return std::make_unique<CudaSession>(*this);
}

Size CudaEngine::padded(Size read) const {
  return upres::padded(read, alignment_);
}

ArenaPlan CudaEngine::plan_arena(Size padded) const {
  return upres::plan_arena(graph_, [&](ValueId id) {
    const Size size = graph_.size_of(id, padded);
    return size_t(size.width) * size_t(size.height) *
           size_t(whole_groups(graph_.value(id).channels)) * sizeof(__half);
  });
}

size_t CudaEngine::bytes_needed(Size read) const {
  return plan_arena(padded(read)).size_bytes;
}

Activations16 CudaEngine::activations(ValueId id, Size padded, const ArenaPlan& plan,
                                      std::byte* arena) const {
  const Value& value = graph_.value(id);
  const Size size = graph_.size_of(id, padded);
  return {reinterpret_cast<__half*>(arena + plan.offsets[size_t(id)]) + value.channel_offset,
          size.width, size.height, value.channels,
          whole_groups(graph_.value(value.storage).channels)};
}

void CudaEngine::launch_node(size_t index, Size padded, const ArenaPlan& plan, std::byte* arena,
                             cudaStream_t stream) const {
  const Node& node = graph_.nodes()[index];
  std::vector<Activations16> in;
  for (const ValueId id : reads(node)) in.push_back(activations(id, padded, plan, arena));
  const Activations16 out = activations(node.output, padded, plan, arena);
  std::visit(Launch{in, out, std::get_if<Convolution>(&prepared_[index]),
                    std::get_if<DeviceBuffer>(&prepared_[index]), stream},
             node.op);
}

void CudaEngine::launch(Size padded, const ArenaPlan& plan, std::byte* arena,
                        cudaStream_t stream) const {
  for (size_t i = 0; i < graph_.nodes().size(); ++i) launch_node(i, padded, plan, arena, stream);
}

}  // namespace upres::cuda
