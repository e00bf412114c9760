// SPDX-License-Identifier: Apache-2.0
// Things on their way from one thread to another.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace upres {

/// A queue of at most so many things, in order.
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t limit) : limit_(limit) {}

  /// Waits for room. False when nothing will be taken any more.
  [[nodiscard]] bool put(T thing) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || things_.size() < limit_; });
    if (closed_) return false;
    things_.push_back(std::move(thing));
    changed_.notify_all();
    return true;
  }

  /// Waits for a thing. Nothing when all that was put before close() is taken.
  std::optional<T> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !things_.empty(); });
    return take_first();
  }

  /// A thing that is there; does not wait.
  std::optional<T> try_take() {
    const std::lock_guard lock(mutex_);
    return take_first();
  }

  /// No more will be put; what is there can still be taken.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  /// Neither will anything be put nor taken.
  void abandon() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    things_.clear();
    changed_.notify_all();
  }

 private:
  std::optional<T> take_first() {
    if (things_.empty()) return std::nullopt;
    T thing = std::move(things_.front());
    things_.pop_front();
    changed_.notify_all();
    return thing;
  }

  size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> things_;
  bool closed_ = false;
};

}  // namespace upres
