// SPDX-License-Identifier: Apache-2.0
// Jobs on their way through an engine on a GPU, whatever runs the network there. Two are on their
// way at once: while the GPU runs one, the processor brings the next one's samples and takes the
// last one's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "backend/backend.h"
#include "backend/cuda/runtime.h"

namespace upres::cuda {

class JobSession : public Session {
 public:
  void submit(const Job& job) final;
  void wait() final;
  int64_t repaired() const final { return repaired_; }

 protected:
  /// On the GPU of this number.
  explicit JobSession(int gpu);

  /// A job on its way, and its samples in the host's memory without gaps.
  struct Slot {
    std::optional<Job> job;  ///< whose result is not yet in its place
    PinnedBuffer src, dst, not_finite;
    Event finished;
  };

  /// Makes ready what a job's sizes and types ask for. Error{memory}.
  virtual void prepare(const Job& job) = 0;
  /// Puts a job that was prepared into the stream: slot.src to the GPU, the network, its result to
  /// slot.dst. Clears not_finite(), and sets it to 1 where a value is not a number, or infinite.
  virtual void launch(const Job& job, const Slot& slot) = 0;
  /// Whether a result of finite values shows that half precision overflowed.
  virtual bool is_suspicious(const Job&, const Slot&) const { return false; }
  /// The same network in single precision; null where this one is.
  virtual const Engine* in_single_precision() const = 0;
  /// Memory is about to move: what holds addresses in it is of no use any more.
  virtual void forget_addresses() {}

  void use_gpu() const;
  cudaStream_t stream() const { return stream_.get(); }
  int* not_finite() const { return not_finite_.as<int>(); }

  /// Waits for what runs and forgets all jobs: for destructors of what they use.
  void drop_all();
  void finish_all();
  /// Grows memory. False, and nothing has changed, when there is not enough.
  bool reserve(DeviceBuffer& buffer, size_t size_bytes);

 private:
  static constexpr size_t kSlots = 2;

  void start(const Job& job);
  void finish(Slot& slot);
  bool is_wrong(const Job& job, const Slot& slot) const;
  bool repair(const Job& job);
  template <typename Work>
  void or_drop_all(Work&& work);

  int gpu_;
  Stream stream_;
  DeviceBuffer not_finite_;
  std::array<Slot, kSlots> slots_;
  size_t next_slot_ = 0;
  std::unique_ptr<Session> single_;
  int64_t repaired_ = 0;
};

}  // namespace upres::cuda
