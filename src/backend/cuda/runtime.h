// SPDX-License-Identifier: Apache-2.0
// CUDA's handles as move-only types, and its errors as upres::Error.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <type_traits>

namespace upres::cuda {

/// Throws Error{memory} where the GPU's memory does not suffice, else Error{device}; `what` is what
/// was tried, as in "copying the weights".
void check(cudaError_t result, const char* what);

struct FreeDevice {
  void operator()(std::byte* memory) const { cudaFree(memory); }
};
struct FreePinned {
  void operator()(std::byte* memory) const { cudaFreeHost(memory); }
};

/// Memory of the present GPU.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  /// 0 bytes are no memory.
  explicit DeviceBuffer(size_t size_bytes);
  /// A copy of host memory.
  template <typename T>
  static DeviceBuffer of(std::span<const T> values) {
    return copy(std::as_bytes(values));
  }

  std::byte* data() const { return memory_.get(); }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(memory_.get());
  }
  size_t size_bytes() const { return size_bytes_; }

 private:
  static DeviceBuffer copy(std::span<const std::byte> bytes);

  std::unique_ptr<std::byte, FreeDevice> memory_;
  size_t size_bytes_ = 0;
};

/// Host memory that the GPU copies from and to by itself.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(size_t size_bytes);
  std::byte* data() const { return memory_.get(); }
  size_t size_bytes() const { return size_bytes_; }

 private:
  std::unique_ptr<std::byte, FreePinned> memory_;
  size_t size_bytes_ = 0;
};

struct DestroyStream {
  void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
};
using Stream = std::unique_ptr<std::remove_pointer_t<cudaStream_t>, DestroyStream>;
Stream make_stream();

struct DestroyEvent {
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};
using Event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, DestroyEvent>;
Event make_event();
/// One that host threads sleep at until it has passed.
Event make_blocking_event();
/// One that tells times.
Event make_timer();

struct DestroyGraph {
  void operator()(cudaGraphExec_t graph) const { cudaGraphExecDestroy(graph); }
};
/// Launches that were recorded once, to be repeated with one call.
using Recording = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, DestroyGraph>;
/// Records what `launches` puts into the stream, without running it.
Recording record(cudaStream_t stream, const std::function<void()>& launches);

}  // namespace upres::cuda
