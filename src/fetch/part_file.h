// SPDX-License-Identifier: Apache-2.0
// A file that is being downloaded: NAME.part beside its place, and NAME.part.json, which says what
// the bytes are a part of. Both outlive the program, so that a later run goes on where this one
// ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"

namespace upres {

/// Which file of which server the bytes are of.
struct PartSource {
  std::string url_sha256;   ///< not the URL itself, which may hold a secret
  std::string validator;    ///< for If-Range: an ETag or a date; empty when the server gave none
  uint64_t size_bytes = 0;  ///< of the whole file; 0 when not known

  bool operator==(const PartSource&) const = default;
};

/// As it is written to NAME.part.json.
std::string to_json(const PartSource& source);

/// What was written; nothing when it is damaged or was written by something else.
std::optional<PartSource> parse_part_source(std::string_view json);

/// Used by one thread. Every failure is an Error{output}.
class PartFile {
 public:
  /// Opens or makes the file for `target`, whose folder must exist. Fails when another process is
  /// downloading the same target.
  explicit PartFile(std::filesystem::path target);
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  /// Keeps what was downloaded; leaves nothing when that is nothing.
  ~PartFile();

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const { return size_; }

  /// What the bytes are of; nothing when there are none, or that is not known.
  const std::optional<PartSource>& source() const { return source_; }

  /// Drops all bytes; those to come are of `source`.
  void start(const PartSource& source);
  void append(std::span<const std::byte> bytes);

  /// Removes both files. Nothing may be called afterwards.
  void discard();

  /// Flushes to the disk, then gives the file its target's name in one step. Nothing may be called
  /// afterwards.
  void put_in_place(Existing existing);

 private:
  void open();
  [[noreturn]] void fail_writing(int error) const;
  void close();

  std::filesystem::path target_;
  std::filesystem::path path_;
  std::filesystem::path source_path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  std::optional<PartSource> source_;
};

}  // namespace upres
