// SPDX-License-Identifier: Apache-2.0
// TensorRT's engines at work. Per job, on the GPU:
//
//     samples → planes (the engine's input) → TensorRT → planes → the part of the result that is
//     wanted, as samples
#include <NvInfer.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "backend/cuda/job_session.h"
#include "backend/cuda/runtime.h"
#include "backend/tensorrt/adapter.h"
#include "backend/tensorrt/samples.h"
#include "backend/tensorrt/words.h"
#include "base/error.h"
#include "graph/footprint.h"

namespace upres::tensorrt {
namespace {

using cuda::check;
using cuda::DeviceBuffer;
using cuda::Packed;

constexpr const char* kInput = "input";  // what onnx/write.h calls them
constexpr const char* kOutput = "output";

using Context = std::unique_ptr<nvinfer1::IExecutionContext>;

/// TensorRT's side of an engine. Members go in the reverse order: contexts before all of them.
struct Loaded {
  Words words;
  std::unique_ptr<nvinfer1::IRuntime> runtime;
  std::unique_ptr<nvinfer1::ICudaEngine> engine;
};

class TensorrtEngine : public Engine {
 public:
  TensorrtEngine(std::unique_ptr<Loaded> loaded, EngineFacts facts)
      : loaded_(std::move(loaded)),
        facts_(std::move(facts)),
        alignment_(footprint(facts_.graph).alignment),
        measuring_(make_context()) {}
  ~TensorrtEngine() override { use_gpu(); }

  std::unique_ptr<Session> open() const override;

  size_t bytes_needed(Size read) const override {
    const Size padded = this->padded(read);
    const Size most = facts_.profile.most;
    const Size asked = {std::min(padded.width, most.width), std::min(padded.height, most.height)};
    const std::lock_guard lock(measuring_mutex_);
    use_gpu();
    const double activations = double(activation_bytes(*measuring_, asked));
    // What is larger than the engine takes is not run; that it needs more is all that matters.
    const double share =
        double(padded.width) * padded.height / (double(asked.width) * asked.height);
    const size_t floats =
        size_t(read.width) * size_t(read.height) * 3 + pixels_of(result_size(padded)) * 3;
    return size_t(activations * share) + input(padded).total_bytes() +
           output(padded).total_bytes() + floats * sizeof(float);
  }

  Size largest() const override { return facts_.profile.most; }

  void use_gpu() const { check(cudaSetDevice(facts_.gpu), "choosing the GPU"); }
  Size padded(Size read) const { return upres::padded(read, alignment_); }
  Size result_size(Size padded) const {
    return facts_.graph.size_of(facts_.graph.output(), padded);
  }
  bool half() const { return facts_.precision == Precision::fp16; }
  Planes input(Size padded, std::byte* data = nullptr) const { return {data, padded, half()}; }
  Planes output(Size padded, std::byte* data = nullptr) const {
    return {data, result_size(padded), half()};
  }
  const EngineFacts& facts() const { return facts_; }
  Words& words() const { return loaded_->words; }

  /// With no memory of its own. Error{device}.
  Context make_context() const {
    use_gpu();
    loaded_->words.clear();
    Context context(loaded_->engine->createExecutionContext(
        nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED));
    if (!context) fail(ErrorCode::device, "TensorRT starts no engine: {}", words().error());
    return context;
  }

  /// Makes a context ready for a size; the bytes that it needs. Error{device}.
  size_t activation_bytes(nvinfer1::IExecutionContext& context, Size padded) const {
    words().clear();
    if (!context.setInputShape(kInput, nvinfer1::Dims4(1, 3, padded.height, padded.width))) {
      fail(ErrorCode::device, "TensorRT takes no picture of {}x{}: {}", padded.width, padded.height,
           words().error());
    }
    return context.updateDeviceMemorySizeForShapes();
  }

  /// The same network in single precision; null where this one is. Made when it is first asked for.
  const Engine* in_single_precision() const {
    if (!facts_.in_single_precision) return nullptr;
    std::call_once(made_single_, [&] { single_ = facts_.in_single_precision(); });
    return single_.get();
  }

 private:
  static size_t pixels_of(Size size) { return size_t(size.width) * size_t(size.height); }

  std::unique_ptr<Loaded> loaded_;
  EngineFacts facts_;
  int alignment_;
  mutable std::mutex measuring_mutex_;
  Context measuring_;  ///< for bytes_needed()
  mutable std::once_flag made_single_;
  mutable std::unique_ptr<Engine> single_;
};

class TensorrtSession : public cuda::JobSession {
 public:
  explicit TensorrtSession(const TensorrtEngine& engine)
      : JobSession(engine.facts().gpu), engine_(engine), context_(engine.make_context()) {}
  ~TensorrtSession() override { drop_all(); }

  bool plan(Size read) override {
    use_gpu();
    return make_ready(read);
  }

 private:
  /// Makes the context and the memory ready for a size. False when it does not fit; all is then as
  /// it was.
  bool make_ready(Size read) {
    const Size padded = engine_.padded(read);
    if (ready_ == padded) return true;
    const EngineFacts& facts = engine_.facts();
    if (padded.width > facts.profile.most.width || padded.height > facts.profile.most.height) {
      return false;
    }
    if (facts.memory_limit > 0 && engine_.bytes_needed(read) > facts.memory_limit) return false;
    finish_all();  // the context and its memory may be at work
    ready_.reset();
    const size_t activations = engine_.activation_bytes(*context_, padded);
    if (!reserve(activations_, activations) ||
        !reserve(input_, engine_.input(padded).total_bytes()) ||
        !reserve(output_, engine_.output(padded).total_bytes())) {
      return false;
    }
    context_->setDeviceMemoryV2(activations_.data(), int64_t(activations_.size_bytes()));
    engine_.words().clear();
    if (!context_->setTensorAddress(kInput, input_.data()) ||
        !context_->setTensorAddress(kOutput, output_.data())) {
      fail(ErrorCode::device, "TensorRT takes no memory: {}", engine_.words().error());
    }
    ready_ = padded;
    return true;
  }

  static Packed part_of(const Job& job, std::byte* data = nullptr) {
    return {data, job.write.size(), job.dst.type, job.dst.components};
  }
  static Packed picture_of(const Job& job, std::byte* data = nullptr) {
    return {data, job.read.size(), job.src.type, job.src.components};
  }

  void prepare(const Job& job) override {
    if (!make_ready(job.read.size()) || !reserve(src_, picture_of(job).total_bytes()) ||
        !reserve(dst_, part_of(job).total_bytes())) {
      fail_for(job.read.size());
    }
  }

  void launch(const Job& job, const Slot& slot) override {
    const Packed src = picture_of(job, src_.data());
    const Packed dst = part_of(job, dst_.data());
    check(cudaMemcpyAsync(src.data, slot.src.data(), src.total_bytes(), cudaMemcpyHostToDevice,
                          stream()),
          "copying a picture to the GPU");
    check(cudaMemsetAsync(not_finite(), 0, sizeof(int), stream()), "clearing a flag");
    gather(src, engine_.input(*ready_, input_.data()), stream());
    engine_.words().clear();
    if (!context_->enqueueV3(stream())) {
      fail(ErrorCode::device, "TensorRT does not run the network: {}", engine_.words().error());
    }
    store(engine_.output(*ready_, output_.data()), job.skip, dst, not_finite(), stream());
    check(cudaMemcpyAsync(slot.dst.data(), dst.data, dst.total_bytes(), cudaMemcpyDeviceToHost,
                          stream()),
          "copying a picture from the GPU");
  }

  const Engine* in_single_precision() const override { return engine_.in_single_precision(); }

  [[noreturn]] void fail_for(Size read) const {
    fail(ErrorCode::memory,
         "a tile of {}x{} pixels needs {} MiB of the GPU's memory, or is larger than the engine "
         "takes ({}); use a smaller tile",
         read.width, read.height, engine_.bytes_needed(read) >> 20,
         text_of(engine_.facts().profile));
  }

  const TensorrtEngine& engine_;
  DeviceBuffer activations_, input_, output_, src_, dst_;  ///< as large as the largest job needs
  std::optional<Size> ready_;                              ///< what the context is prepared for
  Context context_;                                        ///< goes before its memory
};

std::unique_ptr<Session> TensorrtEngine::open() const {
  return std::make_unique<TensorrtSession>(*this);
}

}  // namespace

int gpu_count() {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  cudaGetLastError();  // so that it is not found again by the next call
  return result == cudaSuccess ? count : 0;
}

Gpu find_gpu(int number) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, number), "asking for the GPU");
  return {number, properties.name, properties.major, properties.minor,
          properties.multiProcessorCount};
}

size_t free_memory(int gpu) {
  size_t available = 0;
  size_t total = 0;
  check(cudaSetDevice(gpu), "choosing the GPU");
  check(cudaMemGetInfo(&available, &total), "asking for the GPU's memory");
  return available;
}

std::unique_ptr<Engine> load_engine(const Library& library, std::span<const std::byte> bytes,
                                    EngineFacts facts, std::string& refusal) {
  check(cudaSetDevice(facts.gpu), "choosing the GPU");
  auto loaded = std::make_unique<Loaded>();
  nvinfer1::ILogger* logger = &loaded->words;
  loaded->runtime.reset(
      static_cast<nvinfer1::IRuntime*>(library.create_runtime(logger, library.number())));
  if (loaded->runtime) {
    loaded->engine.reset(loaded->runtime->deserializeCudaEngine(bytes.data(), bytes.size()));
  }
  if (!loaded->engine) {
    refusal = loaded->words.error();
    return nullptr;
  }
  return std::make_unique<TensorrtEngine>(std::move(loaded), std::move(facts));
}

}  // namespace upres::tensorrt
