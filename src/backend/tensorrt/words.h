// SPDX-License-Identifier: Apache-2.0
// What TensorRT says, kept for messages of our own. Only for what is compiled with its headers.
#pragma once

#include <NvInferRuntime.h>

#include <mutex>
#include <string>

namespace upres::tensorrt {

/// Keeps the first error that TensorRT logs: those that follow come of it. Thread-safe.
class Words : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* text) noexcept override {
    if (severity > Severity::kERROR) return;
    const std::lock_guard lock(mutex_);
    if (error_.empty()) error_ = text;
  }

  /// Forgets what was said before.
  void clear() {
    const std::lock_guard lock(mutex_);
    error_.clear();
  }
  /// In one line.
  std::string error() const {
    const std::lock_guard lock(mutex_);
    std::string line = error_.empty() ? "no reason given" : error_;
    for (char& c : line) {
      if (c == '\n') c = ' ';
    }
    return line;
  }

 private:
  mutable std::mutex mutex_;
  std::string error_;
};

}  // namespace upres::tensorrt
