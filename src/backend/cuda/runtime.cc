// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/runtime.h"

#include "base/error.h"

namespace upres::cuda {

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // so that it is not found again by the next call
  if (result == cudaErrorMemoryAllocation) {
    fail(ErrorCode::memory, "{}: not enough memory on the GPU", what);
  }
  fail(ErrorCode::device, "{}: {} (CUDA error {})", what, cudaGetErrorString(result), int(result));
}

DeviceBuffer::DeviceBuffer(size_t size_bytes) : size_bytes_(size_bytes) {
  if (size_bytes == 0) return;
  void* memory = nullptr;
  check(cudaMalloc(&memory, size_bytes), "allocating memory on the GPU");
  memory_.reset(static_cast<std::byte*>(memory));
}

DeviceBuffer DeviceBuffer::copy(std::span<const std::byte> bytes) {
  DeviceBuffer buffer(bytes.size());
  check(cudaMemcpy(buffer.data(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice),
        "copying to the GPU");
  return buffer;
}

PinnedBuffer::PinnedBuffer(size_t size_bytes) : size_bytes_(size_bytes) {
  void* memory = nullptr;
  check(cudaMallocHost(&memory, size_bytes), "allocating pinned memory");
  memory_.reset(static_cast<std::byte*>(memory));
}

Stream make_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  return Stream(stream);
}

namespace {

Event make_event_with(unsigned flags) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, flags), "making an event");
  return Event(event);
}

}  // namespace

Event make_event() {
  return make_event_with(cudaEventDisableTiming);
}

Event make_blocking_event() {
  return make_event_with(cudaEventDisableTiming | cudaEventBlockingSync);
}

Event make_timer() {
  return make_event_with(cudaEventDefault);
}

Recording record(cudaStream_t stream, const std::function<void()>& launches) {
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording");
  cudaGraph_t graph = nullptr;
  try {
    launches();
  } catch (...) {
    if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    throw;
  }
  check(cudaStreamEndCapture(stream, &graph), "recording");
  cudaGraphExec_t recording = nullptr;
  const cudaError_t result = cudaGraphInstantiate(&recording, graph, 0);
  cudaGraphDestroy(graph);
  check(result, "recording");
  return Recording(recording);
}

}  // namespace upres::cuda
