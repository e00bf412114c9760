// SPDX-License-Identifier: Apache-2.0
#include "model/zip_archive.h"

#include <zip.h>

#include "base/error.h"

namespace upres {
namespace {

// An entry for each tensor: the largest checkpoints have 9000.
constexpr zip_int64_t kMaxEntries = 1 << 15;

/// libzip's description of a failure.
class ZipError {
 public:
  ZipError() { zip_error_init(&error_); }
  ~ZipError() { zip_error_fini(&error_); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;

  zip_error_t* get() { return &error_; }
  const char* text() { return zip_error_strerror(&error_); }

 private:
  zip_error_t error_;
};

struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};
using Entry = std::unique_ptr<zip_file_t, CloseEntry>;

}  // namespace

void ZipArchive::Close::operator()(zip* archive) const {
  zip_discard(archive);
}

ZipArchive::ZipArchive(std::span<const std::byte> bytes) {
  ZipError error;
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, error.get());
  if (source) archive_.reset(zip_open_from_source(source, ZIP_RDONLY, error.get()));
  if (!archive_) {
    zip_source_free(source);
    fail(ErrorCode::model, "the zip archive is damaged: {}", error.text());
  }
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  if (count > kMaxEntries) {
    fail(ErrorCode::model, "the zip archive has {} entries, far beyond any network", count);
  }
  for (zip_uint64_t i = 0; i < zip_uint64_t(count); ++i) {
    const char* name = zip_get_name(archive_.get(), i, 0);
    if (!name) fail(ErrorCode::model, "the zip archive has an entry without a name");
    names_.emplace_back(name);
    if (!index_.emplace(name, i).second) {
      fail(ErrorCode::model, "the zip archive has two entries called {}", name);
    }
  }
}

ZipArchive::~ZipArchive() = default;

std::optional<uint64_t> ZipArchive::size_of(std::string_view name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  zip_stat_t status;
  const bool known = zip_stat_index(archive_.get(), found->second, 0, &status) == 0 &&
                     (status.valid & ZIP_STAT_SIZE) != 0;
  if (!known) fail(ErrorCode::model, "the zip archive's entry {} has no size", name);
  return status.size;
}

Buffer ZipArchive::read(std::string_view name) const {
  const auto size = size_of(name);
  if (!size) fail(ErrorCode::model, "the zip archive has no entry {}", name);
  Buffer content(*size);
  const Entry entry(zip_fopen_index(archive_.get(), index_.at(name), 0));
  if (!entry) {
    fail(ErrorCode::model, "the zip archive's entry {} cannot be read: {}", name,
         zip_strerror(archive_.get()));
  }
  // Reading on at the end makes libzip compare the checksum; one byte more tells a claim that is
  // too small.
  std::byte beyond;
  if (zip_fread(entry.get(), content.data(), *size) != zip_int64_t(*size) ||
      zip_fread(entry.get(), &beyond, 1) != 0) {
    const bool whole = zip_error_code_zip(zip_file_get_error(entry.get())) == ZIP_ER_OK;
    fail(ErrorCode::model, "the zip archive's entry {} is damaged: {}", name,
         whole ? "it has another size than it claims" : zip_file_strerror(entry.get()));
  }
  return content;
}

}  // namespace upres
