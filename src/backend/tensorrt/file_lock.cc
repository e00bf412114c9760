// SPDX-License-Identifier: Apache-2.0
#include "backend/tensorrt/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"

namespace upres::tensorrt {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(50);

/// Whether the file is still the one of this name: who held the lock before removed it.
bool is_named(int descriptor, const std::filesystem::path& path) {
  struct stat open {};
  struct stat named {};
  return fstat(descriptor, &open) == 0 && stat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

/// A descriptor that holds the lock; -1 when another one does. Error{output}.
int try_lock(const std::filesystem::path& path) {
  for (;;) {
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) {
      fail(ErrorCode::output, "{} cannot be made: {}", path.string(), std::strerror(errno));
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      close(descriptor);
      if (error == EWOULDBLOCK) return -1;
      fail(ErrorCode::output, "{} cannot be locked: {}", path.string(), std::strerror(error));
    }
    if (is_named(descriptor, path)) return descriptor;
    close(descriptor);
  }
}

}  // namespace

FileLock FileLock::take(const std::filesystem::path& path, const std::stop_token& stop,
                        const std::function<void()>& waiting) {
  bool told = false;
  for (;;) {
    if (const int descriptor = try_lock(path); descriptor >= 0) return {path, descriptor};
    if (!std::exchange(told, true)) waiting();
    if (stop.stop_requested()) fail(ErrorCode::interrupted, "interrupted");
    std::this_thread::sleep_for(kInterval);
  }
}

std::optional<FileLock> FileLock::try_take(const std::filesystem::path& path) {
  const int descriptor = try_lock(path);
  if (descriptor < 0) return std::nullopt;
  return FileLock(path, descriptor);
}

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ < 0) return;
  std::error_code gone;
  std::filesystem::remove(path_, gone);  // before it is let go: see is_named()
  close(descriptor_);
}

}  // namespace upres::tensorrt
