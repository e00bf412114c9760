// SPDX-License-Identifier: Apache-2.0
#include "fetch/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestSource = 16 * 1024;  // a header line of a server is at most half of that

fs::path with_suffix(fs::path path, const char* suffix) {
  return path += suffix;
}

std::optional<PartSource> read_source(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kLargestSource, '\0');
  file.read(text.data(), std::streamsize(text.size()));
  text.resize(size_t(file.gcount()));
  return parse_part_source(text);
}

}  // namespace

std::string to_json(const PartSource& source) {
  const nlohmann::json json{{"url_sha256", source.url_sha256},
                            {"validator", source.validator},
                            {"size_bytes", source.size_bytes}};
  // A server's header may be no UTF-8: then the file does not match later, which is harmless.
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::optional<PartSource> parse_part_source(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto url = json.find("url_sha256");
  const auto validator = json.find("validator");
  const auto size = json.find("size_bytes");
  if (url == json.end() || !url->is_string() || validator == json.end() ||
      !validator->is_string() || size == json.end() || !size->is_number_unsigned()) {
    return std::nullopt;
  }
  PartSource source{*url, *validator, *size};
  // It goes into a request: no second header line may hide in it.
  if (source.validator.find_first_of("\r\n") != std::string::npos) return std::nullopt;
  return source;
}

PartFile::PartFile(fs::path target)
    : target_(std::move(target)),
      path_(with_suffix(target_, ".part")),
      source_path_(with_suffix(target_, ".part.json")) {
  open();
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    close();
    fail(ErrorCode::output, "{} is not a file; move it away", path_.string());
  }
  size_ = uint64_t(status.st_size);
  if (size_ > 0) source_ = read_source(source_path_);
}

// The lock is on the file, not on its name: while this process waited for its turn another one may
// have put the file into its place, and what is then locked is the finished file. So the name must
// still be the file's once it is locked.
void PartFile::open() {
  constexpr int kTries = 10;
  for (int i = 0; i < kTries; ++i) {
    descriptor_ = ::open(path_.c_str(), O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor_ < 0) fail_writing(errno);
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      close();
      if (error != EWOULDBLOCK) fail_writing(error);
      fail(ErrorCode::output, "another upres is downloading {}; wait for it", target_.string());
    }
    struct stat locked {};
    struct stat named {};
    if (::fstat(descriptor_, &locked) == 0 && ::lstat(path_.c_str(), &named) == 0 &&
        locked.st_ino == named.st_ino && locked.st_dev == named.st_dev) {
      return;
    }
    close();
  }
  fail(ErrorCode::output, "another upres is downloading {}; wait for it", target_.string());
}

PartFile::~PartFile() {
  if (descriptor_ >= 0 && size_ == 0) discard();
  close();
}

void PartFile::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void PartFile::fail_writing(int error) const {
  fail(ErrorCode::output, "cannot write {}: {}", path_.string(), std::strerror(error));
}

void PartFile::start(const PartSource& source) {
  if (::ftruncate(descriptor_, 0) != 0) fail_writing(errno);
  size_ = 0;
  const std::string json = to_json(source);
  AtomicFile file(source_path_, Existing::replace);
  file.write(std::as_bytes(std::span(json)));
  file.commit();
  source_ = source;
}

void PartFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_writing(errno);
    size_ += uint64_t(written);
    bytes = bytes.subspan(size_t(written));
  }
}

void PartFile::discard() {
  // In this order: bytes without a source are started over, a source without bytes is not read.
  ::unlink(source_path_.c_str());
  ::unlink(path_.c_str());
  close();
}

void PartFile::put_in_place(Existing existing) {
  if (::fsync(descriptor_) != 0) fail_writing(errno);
  const unsigned flags = existing == Existing::refuse ? RENAME_NOREPLACE : 0;
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), flags) != 0) {
    fail(ErrorCode::output, "cannot write {}: {}", target_.string(), std::strerror(errno));
  }
  ::unlink(source_path_.c_str());
  close();
}

}  // namespace upres
