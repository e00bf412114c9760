// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/session.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <utility>

#include "backend/cuda/job_session.h"
#include "base/error.h"
#include "pixel/sample.h"

namespace upres::cuda {
namespace {

// A picture cut into tiles has at most four sizes of them; twice that serves a folder of pictures.
constexpr size_t kCachedRecordings = 8;

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

class CudaSession : public JobSession {
 public:
  explicit CudaSession(const CudaEngine& engine)
      : JobSession(engine.options().gpu), engine_(engine) {}
  ~CudaSession() override { drop_all(); }

  bool plan(Size read) override {
    use_gpu();
    return within_limit(read) && reserve(arena_, engine_.plan(read).arena.size_bytes);
  }

 private:
  struct Recorded {
    Shape shape;
    Size result;
    Recording network;
  };
  static Shape shape_of(const Job& job) {
    return {job.read.size(), job.src.type, job.dst.type, job.src.components, job.dst.components};
  }

  void prepare(const Job& job) override { find_or_record(shape_of(job)); }

  void launch(const Job& job, const Slot& slot) override {
    const Recorded& recorded = recorded_.front();  // that of the job which was prepared
    const Packed src = src_of(recorded.shape);
    const Packed dst = dst_of(recorded.shape, recorded.result);
    check(cudaMemcpyAsync(src.data, slot.src.data(), src.total_bytes(), cudaMemcpyHostToDevice,
                          stream()),
          "copying a picture to the GPU");
    check(cudaGraphLaunch(recorded.network.get(), stream()), "starting the network");
    const size_t pixel = size_bytes(dst.type) * size_t(dst.components);
    const size_t pitch = size_t(dst.size.width) * pixel;
    const size_t row = size_t(job.write.width) * pixel;
    check(cudaMemcpy2DAsync(slot.dst.data(), row,
                            dst.data + size_t(job.skip.y) * pitch + size_t(job.skip.x) * pixel,
                            pitch, row, size_t(job.write.height), cudaMemcpyDeviceToHost, stream()),
          "copying a picture from the GPU");
  }

  bool is_suspicious(const Job& job, const Slot& slot) const override {
    const Packed src{nullptr, job.read.size(), job.src.type, job.src.components};
    const Packed dst{nullptr, job.write.size(), job.dst.type, job.dst.components};
    return is_constant(slot.dst.data(), dst.total_bytes(), size_bytes(dst.type)) &&
           range_of(slot.src.data(), src.total_bytes() / size_bytes(src.type), src.type) >
               kPlainRange;
  }

  const Engine* in_single_precision() const override { return engine_.in_single_precision(); }
  void forget_addresses() override { recorded_.clear(); }

  Packed src_of(const Shape& shape) const {
    return {src_.data(), shape.read, shape.src, shape.src_components};
  }
  Packed dst_of(const Shape& shape, Size result) const {
    return {dst_.data(), result, shape.dst, shape.dst_components};
  }

  /// The shape's recording comes first then.
  void find_or_record(const Shape& shape) {
    for (auto recorded = recorded_.begin(); recorded != recorded_.end(); ++recorded) {
      if (recorded->shape != shape) continue;
      return recorded_.splice(recorded_.begin(), recorded_, recorded);
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
    Recording network = record(stream(), [&] {
      check(cudaMemsetAsync(not_finite(), 0, sizeof(int), stream()), "clearing a flag");
      engine_.launch(
          layout,
          {src_of(shape), dst_of(shape, result), gray_floats_.data(), arena_.data(), not_finite()},
          stream());
    });
    recorded_.push_front({shape, result, std::move(network)});
    if (recorded_.size() > kCachedRecordings) {
      finish_all();  // the last one may be running
      recorded_.pop_back();
    }
  }

  bool within_limit(Size read) const {
    const size_t limit = engine_.options().memory_limit;
    return limit == 0 || engine_.bytes_needed(read) <= limit;
  }

  const CudaEngine& engine_;
  DeviceBuffer arena_, src_, dst_, gray_floats_;  ///< as large as the largest job needs
  std::list<Recorded> recorded_;
};

}  // namespace

std::unique_ptr<Session> open_cuda_session(const CudaEngine& engine) {
  return std::make_unique<CudaSession>(engine);
}

}  // namespace upres::cuda
