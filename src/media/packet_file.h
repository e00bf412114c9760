// SPDX-License-Identifier: Apache-2.0
// Encoded pictures in a file of their own, until all of a film is there: each as the encoder gave
// it.
//
//     packet:  pts, dts, duration (int64), flags, bytes, side data (uint32); then the bytes;
//              then of each side data: type, bytes (uint32), the bytes
//
// Numbers are as the machine has them: a file is read where it was written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "media/film_encoder.h"

namespace upres {

/// Appends packets. Move-only; failures are Error{output}.
class PacketFileWriter {
 public:
  /// Opens or makes the file, and forgets what is in it from `bytes` on.
  PacketFileWriter(const std::filesystem::path& path, int64_t bytes);
  PacketFileWriter(const PacketFileWriter&) = delete;
  PacketFileWriter& operator=(const PacketFileWriter&) = delete;
  ~PacketFileWriter();

  void write(const FilmPacket& packet);
  /// Has all that was written reach the disk; gives the file's bytes.
  int64_t sync();

 private:
  void put(const void* data, size_t bytes);
  void flush();
  [[noreturn]] void fail_writing(int error) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  int64_t bytes_ = 0;
  std::vector<std::byte> waiting_;
};

/// Reads packets from the first to the one that ends at `bytes`.
class PacketFileReader {
 public:
  /// Error{output} where the file is not there, or shorter.
  PacketFileReader(const std::filesystem::path& path, int64_t bytes);
  PacketFileReader(const PacketFileReader&) = delete;
  PacketFileReader& operator=(const PacketFileReader&) = delete;
  ~PacketFileReader();

  std::optional<FilmPacket> next();
  int64_t position() const { return at_; }

 private:
  void get(void* data, size_t bytes);

  std::filesystem::path path_;
  int descriptor_ = -1;
  int64_t at_ = 0;
  int64_t end_ = 0;
};

}  // namespace upres
