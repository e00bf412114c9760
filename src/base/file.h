// SPDX-License-Identifier: Apache-2.0
// Files read by mapping them, and files written so that they are there whole or not at all.
#pragma once

#include <cstddef>
#include <ctime>
#include <filesystem>
#include <span>

#include "base/error.h"

namespace upres {

/// A file's bytes, mapped read-only. Move-only; the bytes live as long as the object.
class MappedFile {
 public:
  /// Maps `path`. An Error of `code` when it is missing, unreadable or not a regular file. An
  /// empty file gives an empty span.
  static MappedFile open(const std::filesystem::path& path, ErrorCode code);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

/// What to do when the file to be written exists when it is committed.
enum class Existing { refuse, replace };

/// A file under construction, invisible until commit() puts it in its place.
///
/// The file has no name while it is written (O_TMPFILE), so that nothing is left behind even by a
/// killed process; where the file system has no unnamed files it is a hidden one in the same
/// folder, removed by the destructor. Every failure is an Error{output}.
class AtomicFile {
 public:
  /// Starts a file that will become `target`. The target's folder must exist and be writable.
  AtomicFile(std::filesystem::path target, Existing existing);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// The open descriptor to write to; owned by this object.
  int descriptor() const { return descriptor_; }

  /// Appends bytes.
  void write(std::span<const std::byte> bytes);

  /// Gives the file a time of change other than now.
  void set_time(const timespec& time);

  /// Flushes to the disk and gives the file its name. With Existing::refuse a target that
  /// appeared in the meantime is left as it is and the commit fails.
  void commit();

 private:
  [[noreturn]] void fail_writing(int error) const;
  void discard();

  std::filesystem::path target_;
  Existing existing_;
  int descriptor_ = -1;
  std::filesystem::path named_temporary_;  ///< empty while the file has no name
};

}  // namespace upres
