// SPDX-License-Identifier: Apache-2.0
// A zip archive in memory, read with libzip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tensor/tensor.h"

struct zip;

namespace upres {

/// Reads entries by name. Names are looked up in the archive only: they never become paths. The
/// bytes must outlive the object. Every failure is an Error{model}.
class ZipArchive {
 public:
  explicit ZipArchive(std::span<const std::byte> bytes);
  ~ZipArchive();
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;

  /// The entries' names, in the archive's order.
  const std::vector<std::string_view>& names() const { return names_; }

  /// Bytes that an entry claims to hold; nothing when there is no such entry.
  std::optional<uint64_t> size_of(std::string_view name) const;

  /// The whole content of an entry. It is an error if that is more or less than the entry claims,
  /// or fails its checksum; memory for the claim is allocated first, so check size_of() before.
  Buffer read(std::string_view name) const;

 private:
  struct Close {
    void operator()(zip* archive) const;
  };
  std::unique_ptr<zip, Close> archive_;
  std::vector<std::string_view> names_;  ///< owned by archive_
  std::unordered_map<std::string_view, uint64_t> index_;
};

}  // namespace upres
