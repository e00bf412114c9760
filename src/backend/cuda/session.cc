// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/session.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <list>
#include <optional>
#include <utility>

#include "base/error.h"
#include "pixel/pack.h"
#include "pixel/sample.h"

namespace upres::cuda {
namespace {

// A picture cut into tiles has at most four sizes of them; twice that serves a folder of pictures.
constexpr size_t kCachedRecordings = 8;

// Jobs on their way: one runs while the next one's samples are brought and the last one's taken.
constexpr size_t kSlots = 2;

/// A result of one level alone is suspicious where the picture has more than this range of 0..1.
constexpr float kPlainRange = 16.0f / 255.0f;

/// The range of a packed picture's samples, 1 being full scale.
float range_of(const std::byte* packed, size_t count, SampleType type) {
  float range = 0;
  with_sample_type(type, [&](auto sample) {
    const auto* samples = reinterpret_cast<const decltype(sample)*>(packed);
    const auto [least, most] = std::minmax_element(samples, samples + count);
    range = from_sample(*most) - from_sample(*least);
  });
  return range;
}

/// Whether all rows of a packed picture repeat its first sample: found out at the first that
/// differs.
bool is_constant(const std::byte* packed, size_t size_bytes, size_t sample_bytes) {
  return std::memcmp(packed, packed + sample_bytes, size_bytes - sample_bytes) == 0;
}

/// What a recorded network depends on.
struct Shape {
  Size read;
  SampleType src, dst;
  int src_components, dst_components;
  friend bool operator==(const Shape&, const Shape&) = default;
};

class CudaSession : public Session {
 public:
  explicit CudaSession(const CudaEngine& engine) : engine_(engine) {
    engine_.use_gpu();
    stream_ = make_stream();
    not_finite_ = DeviceBuffer(sizeof(int));
    for (Slot& slot : slots_) {
      slot.finished = make_event();
      slot.not_finite = PinnedBuffer(sizeof(int));
    }
  }
  ~CudaSession() override {
    engine_.use_gpu();
    cudaStreamSynchronize(stream_.get());
  }

  bool plan(Size read) override {
    engine_.use_gpu();
    return within_limit(read) && reserve(arena_, engine_.plan(read).arena.size_bytes);
  }

  void submit(const Job& job) override {
    engine_.use_gpu();
    or_drop_all([&] { start(job); });
  }

  void wait() override {
    engine_.use_gpu();
    or_drop_all([&] { finish_all(); });
  }

  int64_t repaired() const override { return repaired_; }

 private:
  struct Recorded {
    Shape shape;
    Size result;
    Recording network;
  };
  /// One job on its way.
  struct Slot {
    std::optional<Job> job;  ///< whose result is not yet in its place
    PinnedBuffer src, dst, not_finite;
    Event finished;
  };

  void start(const Job& job) {
    const Shape shape{job.read.size(), job.src.type, job.dst.type, job.src.components,
                      job.dst.components};
    const Recorded& recorded = find_or_record(shape);
    Slot& slot = slots_[next_slot_];
    next_slot_ = (next_slot_ + 1) % kSlots;
    finish(slot);
    const Packed src = src_of(shape);
    const Packed dst = dst_of(shape, recorded.result);
    const Packed part{nullptr, job.write.size(), job.dst.type, job.dst.components};
    grow(slot.src, src.total_bytes());
    grow(slot.dst, part.total_bytes());

    pack(job.src, job.read, slot.src.data());
    cudaStream_t stream = stream_.get();
    check(cudaMemcpyAsync(src.data, slot.src.data(), src.total_bytes(), cudaMemcpyHostToDevice,
                          stream),
          "copying a picture to the GPU");
    check(cudaGraphLaunch(recorded.network.get(), stream), "starting the network");
    const size_t pixel = size_bytes(dst.type) * size_t(dst.components);
    const size_t pitch = size_t(dst.size.width) * pixel;
    const size_t row = size_t(part.size.width) * pixel;
    check(cudaMemcpy2DAsync(slot.dst.data(), row,
                            dst.data + size_t(job.skip.y) * pitch + size_t(job.skip.x) * pixel,
                            pitch, row, size_t(part.size.height), cudaMemcpyDeviceToHost, stream),
          "copying a picture from the GPU");
    check(cudaMemcpyAsync(slot.not_finite.data(), not_finite_.data(), sizeof(int),
                          cudaMemcpyDeviceToHost, stream),
          "copying a flag from the GPU");
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
    if (is_wrong(job, slot) && repair(job)) return;
    unpack(slot.dst.data(), job.dst, job.write);
    if (job.heartbeat) job.heartbeat(1);
  }

  /// Whether a result shows that half precision overflowed.
  static bool is_wrong(const Job& job, const Slot& slot) {
    int not_finite = 0;
    std::memcpy(&not_finite, slot.not_finite.data(), sizeof not_finite);
    if (not_finite) return true;
    const Packed src{nullptr, job.read.size(), job.src.type, job.src.components};
    const Packed dst{nullptr, job.write.size(), job.dst.type, job.dst.components};
    return is_constant(slot.dst.data(), dst.total_bytes(), size_bytes(dst.type)) &&
           range_of(slot.src.data(), src.total_bytes() / size_bytes(src.type), src.type) >
               kPlainRange;
  }

  /// Does a job again in single precision. False where this already was.
  bool repair(const Job& job) {
    const CudaEngine* single = engine_.in_single_precision();
    if (!single) return false;
    if (!single_) single_ = single->open();
    single_->submit(job);
    single_->wait();
    ++repaired_;
    return true;
  }

  Packed src_of(const Shape& shape) const {
    return {src_.data(), shape.read, shape.src, shape.src_components};
  }
  Packed dst_of(const Shape& shape, Size result) const {
    return {dst_.data(), result, shape.dst, shape.dst_components};
  }

  const Recorded& find_or_record(const Shape& shape) {
    for (auto recorded = recorded_.begin(); recorded != recorded_.end(); ++recorded) {
      if (recorded->shape != shape) continue;
      recorded_.splice(recorded_.begin(), recorded_, recorded);  // the last used comes first
      return recorded_.front();
    }
    const Layout layout = engine_.plan(shape.read);
    const Size result = engine_.graph().size_of(engine_.graph().output(), layout.padded);
    const size_t gray_floats =
        shape.dst_components == 1 ? size_t(result.width) * size_t(result.height) * 3 * sizeof(float)
                                  : 0;
    const bool fits = within_limit(shape.read) && reserve(arena_, layout.arena.size_bytes) &&
                      reserve(src_, src_of(shape).total_bytes()) &&
                      reserve(dst_, dst_of(shape, result).total_bytes()) &&
                      reserve(gray_floats_, gray_floats);
    if (!fits) {
      fail(ErrorCode::memory,
           "a tile of {}x{} pixels needs {} MiB of the GPU's memory; use a smaller tile",
           shape.read.width, shape.read.height, engine_.bytes_needed(shape.read) >> 20);
    }
    cudaStream_t stream = stream_.get();
    Recording network = record(stream, [&] {
      check(cudaMemsetAsync(not_finite_.data(), 0, sizeof(int), stream), "clearing a flag");
      engine_.launch(layout,
                     {src_of(shape), dst_of(shape, result), gray_floats_.data(), arena_.data(),
                      not_finite_.as<int>()},
                     stream);
    });
    recorded_.push_front({shape, result, std::move(network)});
    if (recorded_.size() > kCachedRecordings) {
      finish_all();  // the last one may be running
      recorded_.pop_back();
    }
    return recorded_.front();
  }

  bool within_limit(Size read) const {
    const size_t limit = engine_.options().memory_limit;
    return limit == 0 || engine_.bytes_needed(read) <= limit;
  }

  /// Grows memory that recordings may hold the address of. False, and nothing has changed, when
  /// there is not enough.
  bool reserve(DeviceBuffer& buffer, size_t size_bytes) {
    if (size_bytes <= buffer.size_bytes()) return true;
    finish_all();
    size_t available = 0;
    size_t total = 0;
    check(cudaMemGetInfo(&available, &total), "asking for the GPU's memory");
    if (size_bytes > available + buffer.size_bytes()) return false;
    recorded_.clear();
    buffer = DeviceBuffer();
    try {
      buffer = DeviceBuffer(size_bytes);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::memory) throw;
      return false;
    }
    return true;
  }

  static void grow(PinnedBuffer& buffer, size_t size_bytes) {
    if (size_bytes <= buffer.size_bytes()) return;
    buffer = PinnedBuffer();
    buffer = PinnedBuffer(size_bytes);
  }

  const CudaEngine& engine_;
  Stream stream_;
  DeviceBuffer arena_, src_, dst_, gray_floats_;  ///< as large as the largest job needs
  DeviceBuffer not_finite_;
  std::list<Recorded> recorded_;
  std::array<Slot, kSlots> slots_;
  size_t next_slot_ = 0;
  std::unique_ptr<Session> single_;
  int64_t repaired_ = 0;
};

}  // namespace

std::unique_ptr<Session> open_cuda_session(const CudaEngine& engine) {
  return std::make_unique<CudaSession>(engine);
}

}  // namespace upres::cuda
