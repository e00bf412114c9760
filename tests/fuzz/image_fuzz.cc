// SPDX-License-Identifier: Apache-2.0
// A picture file of any format, read from its header to its last row. libvips and what it reads
// with are not instrumented; what is damaged outside their memory, hangs or grows shows all the
// same.
#include "base/error.h"
#include "media/image_reader.h"
#include "memory_file.h"

namespace {

/// Passes by without being kept.
class Nowhere : public upres::RowSink {
 public:
  void write(upres::Frame) override {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  constexpr int64_t kMostPixels = 1 << 16;
  const upres::fuzz::MemoryFile file(data, size_bytes);
  try {
    upres::ImageReader reader(file.path(), {.max_pixels = kMostPixels});
    Nowhere nowhere;
    upres::pass_rows(reader, nowhere);
  } catch (const upres::Error& error) {
    UPRES_ASSERT(error.code() == upres::ErrorCode::input, "bad input is the picture's fault only");
  }
  return 0;
}
