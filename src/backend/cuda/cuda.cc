// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/cuda.h"

#include <cuda.h>

#include <algorithm>

#include "backend/cuda/engine.h"
#include "backend/cuda/runtime.h"
#include "base/error.h"

namespace upres {
namespace {

using GetContext = decltype(&cuCtxGetCurrent);

/// The context that CUDA's runtime works in, of the present GPU.
void* runtime_context() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
  constexpr int kSince = 4000;
  cuda::check(cudaGetDriverEntryPointByVersion("cuCtxGetCurrent", &function, kSince,
                                               cudaEnableDefault, &found),
              "asking the driver for its context");
  CUcontext context = nullptr;
  const bool is_there = found == cudaDriverEntryPointSuccess &&
                        reinterpret_cast<GetContext>(function)(&context) == CUDA_SUCCESS;
  UPRES_ASSERT(is_there && context, "a GPU that was chosen has a context");
  return context;
}

constexpr int kOldestMajor = 8;  // Ampere: cp.async, and mma of 16 inputs at a time

// Large enough that the shared pixels of RRDBNet x4 cost little, small enough for a GPU of 6 GiB
// that draws a desktop besides.
constexpr size_t kTileBudget = size_t(3) << 30;

/// How many GPUs there are; Error{device} where that cannot be asked.
int gpu_count() {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaErrorInsufficientDriver) {
    fail(ErrorCode::device,
         "no NVIDIA driver, or one that is older than {}; install one, or use -b cpu",
         cuda_library());
  }
  if (result == cudaErrorNoDevice || (result == cudaSuccess && count == 0)) {
    fail(ErrorCode::device, "there is no NVIDIA GPU; use -b cpu");
  }
  cuda::check(result, "looking for GPUs");
  return count;
}

class CudaDevice : public Device {
 public:
  explicit CudaDevice(const DeviceOptions& options) : options_(options) {
    const int count = gpu_count();
    if (options.gpu >= count) {
      fail(ErrorCode::device, "there is no GPU {}; there {} {}, counted from 0", options.gpu,
           count == 1 ? "is" : "are", count);
    }
    cuda::check(cudaGetDeviceProperties(&properties_, options.gpu), "asking for the GPU");
    if (properties_.major < kOldestMajor) {
      fail(ErrorCode::device,
           "{} has compute capability {}.{}; upres needs {}.0 (Ampere) or later, or use -b cpu",
           properties_.name, properties_.major, properties_.minor, kOldestMajor);
    }
    cuda::check(cudaSetDevice(options.gpu), "choosing the GPU");
    cuda::check(cudaFree(nullptr), "starting the GPU");
    decoding_ = cuda::make_stream();
    gpu_ = {options.gpu, runtime_context(), decoding_.get()};
  }

  std::string name() const override {
    return fmt::format("{} (GPU {}, compute capability {}.{})", properties_.name, options_.gpu,
                       properties_.major, properties_.minor);
  }
  Capabilities capabilities() const override {
    return {.fused_epilogue = true,
            .slice_alignment = cuda::kBlock,
            .enlarged_inputs = true,
            .shuffled_result = 4};
  }
  std::vector<Precision> precisions() const override {
    return {Precision::fp16, Precision::fp16_fast, Precision::fp32};
  }
  bool uses_host_memory() const override { return false; }
  std::optional<GpuShare> gpu() const override { return gpu_; }
  size_t tile_budget() const override { return kTileBudget; }
  size_t memory_available(size_t) const override {
    size_t available = 0;
    size_t total = 0;
    cuda::check(cudaSetDevice(options_.gpu), "choosing the GPU");
    cuda::check(cudaMemGetInfo(&available, &total), "asking for the GPU's memory");
    return options_.memory_limit > 0 ? std::min(options_.memory_limit, available) : available;
  }

 protected:
  std::unique_ptr<Engine> load_as(const Graph& graph, Precision precision) const override {
    return std::make_unique<cuda::CudaEngine>(graph, options_, precision);
  }

 private:
  DeviceOptions options_;
  cudaDeviceProp properties_{};
  cuda::Stream decoding_;  ///< for decoders
  GpuShare gpu_;
};

}  // namespace

std::unique_ptr<Device> open_cuda_device(const DeviceOptions& options) {
  return std::make_unique<CudaDevice>(options);
}

bool has_cuda_device() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) return false;
  int major = 0;
  return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0) == cudaSuccess &&
         major >= kOldestMajor;
}

std::string cuda_library() {
  return fmt::format("CUDA {}.{}", CUDART_VERSION / 1000, CUDART_VERSION / 10 % 100);
}

}  // namespace upres
