// SPDX-License-Identifier: Apache-2.0
// Rows on their way from one thread to another.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "frame/rows.h"

namespace upres {

/// A queue of strips, bounded by their bytes. One thread writes, another one takes.
class RowQueue : public RowSink {
 public:
  /// A strip waits while more than `limit_bytes` would be in the queue, unless it is empty.
  explicit RowQueue(size_t limit_bytes) : limit_bytes_(limit_bytes) {}

  /// What write() throws when the rows will not be taken.
  struct Abandoned {};

  /// Waits for room. Throws Abandoned after abandon().
  void write(Frame rows) override;
  /// Waits for a strip. Nothing after abandon() when all that was written has been taken.
  std::optional<Frame> take();
  /// Ends the wait of both sides: no more strips will be written, or none will be taken.
  void abandon();

 private:
  size_t limit_bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Frame> strips_;
  size_t bytes_ = 0;
  bool abandoned_ = false;
};

/// Reads a source on a thread of its own, some strips ahead. What the source throws comes out of
/// read().
class ReadAhead : public RowSource {
 public:
  ReadAhead(std::unique_ptr<RowSource> source, size_t limit_bytes);
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;
  ~ReadAhead() override;

  const FrameInfo& info() const override { return source_->info(); }
  Frame read() override;

 private:
  std::unique_ptr<RowSource> source_;
  RowQueue queue_;
  std::exception_ptr failure_;  ///< set before the queue is abandoned
  std::thread thread_;
};

}  // namespace upres
