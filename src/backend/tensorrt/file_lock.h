// SPDX-License-Identifier: Apache-2.0
// A lock between processes.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>

namespace upres::tensorrt {

/// Held as long as it lives, at most until the process ends, however it ends (flock). Its file is
/// removed with it. Move-only.
class FileLock {
 public:
  /// Waits for it; `waiting` is called once when that is necessary. Error{interrupted} after a stop
  /// request; Error{output} where the file cannot be made.
  static FileLock take(const std::filesystem::path& path, const std::stop_token& stop,
                       const std::function<void()>& waiting);
  /// Nothing when another process or thread holds it. Error{output} where the file cannot be made.
  static std::optional<FileLock> try_take(const std::filesystem::path& path);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  FileLock(std::filesystem::path path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}

  std::filesystem::path path_;
  int descriptor_;
};

}  // namespace upres::tensorrt
