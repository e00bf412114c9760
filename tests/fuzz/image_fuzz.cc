// SPDX-License-Identifier: Apache-2.0
// A picture file of any format, read from its header to its last row. libvips and what it reads
// with are not instrumented; what is damaged outside their memory, hangs or grows shows all the
// same.
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"
#include "media/image_reader.h"

namespace {

/// A file in memory that the reader opens by its name.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("picture", 0)) {}
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }

  bool write(const uint8_t* data, size_t size_bytes) const {
    return ::write(descriptor_, data, size_bytes) == ssize_t(size_bytes);
  }
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// Passes by without being kept.
class Nowhere : public upres::RowSink {
 public:
  void write(upres::Frame) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  constexpr int64_t kMostPixels = 1 << 16;
  const MemoryFile file;
  UPRES_ASSERT(file.write(data, size_bytes), "a file in memory takes what is written");
  try {
    upres::ImageReader reader(file.path(), {.max_pixels = kMostPixels});
    Nowhere nowhere;
    upres::pass_rows(reader, nowhere);
  } catch (const upres::Error& error) {
    UPRES_ASSERT(error.code() == upres::ErrorCode::input, "bad input is the picture's fault only");
  }
  return 0;
}
