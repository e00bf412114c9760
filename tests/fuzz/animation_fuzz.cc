// SPDX-License-Identifier: Apache-2.0
// What animated pictures say of themselves, and the frames of a WebP. What decodes those is not
// instrumented, as with pictures.
#include <vector>

#include "base/error.h"
#include "media/animation.h"
#include "media/webp_reader.h"
#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  constexpr int64_t kMostPixels = 1 << 16;
  const auto bytes = std::as_bytes(std::span(data, size_bytes));
  if (upres::plays_of_gif(bytes)) upres::is_gif_cut_off(bytes);
  upres::plays_of_apng(bytes);
  std::vector<std::byte> changed(bytes.begin(), bytes.end());
  upres::set_gif_disposal(changed, true);
  upres::set_webp_length(changed, 1000);
  const upres::fuzz::MemoryFile file(data, size_bytes);
  try {
    const auto reader = upres::WebpReader::open(file.path(), kMostPixels);
    if (!reader) return 0;
    const upres::Size size = reader->animation().size;
    std::vector<uint8_t> rows(size_t(size.width) * size_t(size.height) * 4);
    while (reader->read(rows.data(), int64_t(size.width) * 4)) {
    }
  } catch (const upres::Error& error) {
    UPRES_ASSERT(error.code() == upres::ErrorCode::input, "bad input is the picture's fault only");
  }
  return 0;
}
