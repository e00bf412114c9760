// SPDX-License-Identifier: Apache-2.0
#include "frame/row_queue.h"

#include <utility>

#include "base/error.h"

namespace upres {

void RowQueue::write(Frame rows) {
  const size_t bytes = rows.total_bytes();
  std::unique_lock lock(mutex_);
  changed_.wait(lock,
                [&] { return abandoned_ || strips_.empty() || bytes_ + bytes <= limit_bytes_; });
  if (abandoned_) throw Abandoned();
  strips_.push_back(std::move(rows));
  bytes_ += bytes;
  changed_.notify_all();
}

std::optional<Frame> RowQueue::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return abandoned_ || !strips_.empty(); });
  if (strips_.empty()) return std::nullopt;
  Frame rows = std::move(strips_.front());
  strips_.pop_front();
  bytes_ -= rows.total_bytes();
  changed_.notify_all();
  return rows;
}

void RowQueue::abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  changed_.notify_all();
}

ReadAhead::ReadAhead(std::unique_ptr<RowSource> source, size_t limit_bytes)
    : source_(std::move(source)), queue_(limit_bytes) {
  thread_ = std::thread([this] {
    try {
      pass_rows(*source_, queue_);
    } catch (...) {
      failure_ = std::current_exception();
    }
    queue_.abandon();
  });
}

ReadAhead::~ReadAhead() {
  queue_.abandon();
  thread_.join();
}

Frame ReadAhead::read() {
  std::optional<Frame> rows = queue_.take();
  if (rows) return std::move(*rows);
  if (failure_) std::rethrow_exception(failure_);
  UPRES_ASSERT(false, "read() is not called after the last row");
}

}  // namespace upres
