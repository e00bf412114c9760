// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <utility>

namespace upres {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

fs::path temporary_name(const fs::path& target) {
  std::random_device random;
  return folder_of(target) /
         fmt::format(".{}.{:08x}{:08x}.part", target.filename().string(), random(), random());
}

// New files get what the user's umask leaves of 0666, as open() gives them; linkat keeps the mode.
constexpr mode_t kMode = 0666;

}  // namespace

MappedFile MappedFile::open(const fs::path& path, ErrorCode code) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(code, "cannot open {}: {}", path.string(), std::strerror(errno));
  struct stat status {};
  const bool regular = ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  const auto size = regular ? size_t(status.st_size) : 0;
  void* address = nullptr;
  if (size > 0) address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int error = errno;
  ::close(descriptor);
  if (!regular) fail(code, "{} is not a file", path.string());
  if (address == MAP_FAILED) fail(code, "cannot read {}: {}", path.string(), std::strerror(error));
  return MappedFile({static_cast<const std::byte*>(address), size});
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

AtomicFile::AtomicFile(fs::path target, Existing existing)
    : target_(std::move(target)), existing_(existing) {
  const fs::path folder = folder_of(target_);
  descriptor_ = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kMode);
  if (descriptor_ >= 0) return;
  // EISDIR: a kernel without O_TMPFILE; EOPNOTSUPP: a file system without it.
  if (errno == EISDIR || errno == EOPNOTSUPP) {
    named_temporary_ = temporary_name(target_);
    descriptor_ = ::open(named_temporary_.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, kMode);
    if (descriptor_ >= 0) return;
    named_temporary_.clear();
  }
  fail(ErrorCode::output, "cannot write into the folder {}: {}", folder.string(),
       std::strerror(errno));
}

AtomicFile::~AtomicFile() {
  discard();
}

void AtomicFile::discard() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  if (!named_temporary_.empty()) ::unlink(named_temporary_.c_str());
  named_temporary_.clear();
}

void AtomicFile::fail_writing(int error) const {
  fail(ErrorCode::output, "cannot write {}: {}", target_.string(), std::strerror(error));
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_writing(errno);
    bytes = bytes.subspan(size_t(written));
  }
}

void AtomicFile::set_time(const timespec& time) {
  const timespec times[] = {time, time};  // of access and of change
  if (::futimens(descriptor_, times) != 0) fail_writing(errno);
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail_writing(errno);
  if (named_temporary_.empty()) {
    // An unnamed file can only be linked to a name that is free. A free target is taken at once;
    // a target to be replaced needs a name of passage, which rename() then moves over it.
    const std::string source = fmt::format("/proc/self/fd/{}", descriptor_);
    if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, target_.c_str(), AT_SYMLINK_FOLLOW) == 0) {
      return discard();
    }
    if (errno != EEXIST || existing_ == Existing::refuse) fail_writing(errno);
    named_temporary_ = temporary_name(target_);
    if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, named_temporary_.c_str(), AT_SYMLINK_FOLLOW) !=
        0) {
      const int error = errno;
      named_temporary_.clear();
      fail_writing(error);
    }
  }
  const unsigned flags = existing_ == Existing::refuse ? RENAME_NOREPLACE : 0;
  if (::renameat2(AT_FDCWD, named_temporary_.c_str(), AT_FDCWD, target_.c_str(), flags) != 0) {
    fail_writing(errno);
  }
  named_temporary_.clear();
  discard();
}

}  // namespace upres
