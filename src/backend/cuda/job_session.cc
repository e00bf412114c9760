// SPDX-License-Identifier: Apache-2.0
#include "backend/cuda/job_session.h"

#include <cstring>
#include <utility>

#include "backend/cuda/pixels.h"
#include "base/error.h"
#include "pixel/pack.h"

namespace upres::cuda {
namespace {

void grow(PinnedBuffer& buffer, size_t size_bytes) {
  if (size_bytes <= buffer.size_bytes()) return;
  buffer = PinnedBuffer();
  buffer = PinnedBuffer(size_bytes);
}

size_t packed_bytes(const FrameView& frame, const Rect& rect) {
  return Packed{nullptr, rect.size(), frame.type, frame.components}.total_bytes();
}

}  // namespace

JobSession::JobSession(int gpu) : gpu_(gpu) {
  use_gpu();
  stream_ = make_stream();
  not_finite_ = DeviceBuffer(sizeof(int));
  for (Slot& slot : slots_) {
    slot.finished = make_event();
    slot.not_finite = PinnedBuffer(sizeof(int));
  }
}

void JobSession::use_gpu() const {
  check(cudaSetDevice(gpu_), "choosing the GPU");
}

void JobSession::submit(const Job& job) {
  use_gpu();
  or_drop_all([&] { start(job); });
}

void JobSession::wait() {
  use_gpu();
  or_drop_all([&] { finish_all(); });
}

void JobSession::start(const Job& job) {
  prepare(job);
  Slot& slot = slots_[next_slot_];
  next_slot_ = (next_slot_ + 1) % kSlots;
  finish(slot);
  grow(slot.src, packed_bytes(job.src, job.read));
  grow(slot.dst, packed_bytes(job.dst, job.write));
  pack(job.src, job.read, slot.src.data());
  launch(job, slot);
  check(cudaMemcpyAsync(slot.not_finite.data(), not_finite_.data(), sizeof(int),
                        cudaMemcpyDeviceToHost, stream()),
        "copying a flag from the GPU");
  check(cudaEventRecord(slot.finished.get(), stream()), "recording an event");
  slot.job = job;
}

void JobSession::finish_all() {
  for (size_t i = 0; i < kSlots; ++i) finish(slots_[(next_slot_ + i) % kSlots]);
}

void JobSession::drop_all() {
  cudaSetDevice(gpu_);
  cudaStreamSynchronize(stream());
  for (Slot& slot : slots_) slot.job.reset();
}

/// After an exception nothing runs and no job is remembered.
template <typename Work>
void JobSession::or_drop_all(Work&& work) {
  try {
    work();
  } catch (...) {
    drop_all();
    throw;
  }
}

void JobSession::finish(Slot& slot) {
  if (!slot.job) return;
  const Job job = *std::exchange(slot.job, std::nullopt);
  check(cudaEventSynchronize(slot.finished.get()), "running the network");
  if (is_wrong(job, slot) && repair(job)) return;
  unpack(slot.dst.data(), job.dst, job.write);
  if (job.heartbeat) job.heartbeat(1);
}

/// Whether a result shows that half precision overflowed.
bool JobSession::is_wrong(const Job& job, const Slot& slot) const {
  int not_finite = 0;
  std::memcpy(&not_finite, slot.not_finite.data(), sizeof not_finite);
  return not_finite || is_suspicious(job, slot);
}

/// Does a job again in single precision. False where this already was.
bool JobSession::repair(const Job& job) {
  const Engine* single = in_single_precision();
  if (!single) return false;
  if (!single_) single_ = single->open();
  single_->submit(job);
  single_->wait();
  ++repaired_;
  return true;
}

bool JobSession::reserve(DeviceBuffer& buffer, size_t size_bytes) {
  if (size_bytes <= buffer.size_bytes()) return true;
  finish_all();
  size_t available = 0;
  size_t total = 0;
  check(cudaMemGetInfo(&available, &total), "asking for the GPU's memory");
  if (size_bytes > available + buffer.size_bytes()) return false;
  forget_addresses();
  buffer = DeviceBuffer();
  try {
    buffer = DeviceBuffer(size_bytes);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::memory) throw;
    return false;
  }
  return true;
}

}  // namespace upres::cuda
