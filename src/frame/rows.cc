// SPDX-License-Identifier: Apache-2.0
#include "frame/rows.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "base/error.h"

namespace upres {
namespace {

// Large enough that a strip's cost is its bytes, small enough for the processor's cache.
constexpr size_t kStripBytes = size_t(1) << 20;

/// body(strip) over a whole picture, until it returns false.
template <typename Body>
void for_each_strip(RowSource& source, Body&& body) {
  const int height = source.info().size.height;
  for (int done = 0; done < height;) {
    Frame rows = source.read();
    done += rows.size().height;
    if (!body(std::move(rows))) return;
  }
}

}  // namespace

int strip_height(const FrameInfo& info) {
  return int(std::clamp<size_t>(kStripBytes / info.row_bytes(), 1, size_t(info.size.height)));
}

void pass_rows(RowSource& source, RowSink& sink) {
  for_each_strip(source, [&](Frame rows) {
    sink.write(std::move(rows));
    return true;
  });
}

bool has_constant_alpha(RowSource& source) {
  UPRES_ASSERT(source.info().has_alpha(), "the picture has alpha");
  const size_t sample = size_bytes(source.info().type);
  const size_t pixel = sample * size_t(source.info().channels);
  std::optional<std::array<std::byte, sizeof(float)>> first;
  bool constant = true;
  for_each_strip(source, [&](const Frame& rows) {
    const std::byte* alpha = rows.data() + pixel - sample;
    if (!first) std::memcpy(first.emplace().data(), alpha, sample);
    for (size_t i = 0; constant && i < rows.total_bytes(); i += pixel) {
      constant = std::memcmp(alpha + i, first->data(), sample) == 0;
    }
    return constant;
  });
  return constant;
}

Frame FrameSource::read() {
  const int rows = std::min(strip_height(info()), info().size.height - next_);
  Frame strip({frame_.size().width, rows}, frame_.type(), frame_.channels());
  copy_rows(frame_, next_, strip, 0, rows);
  next_ += rows;
  return strip;
}

void FrameSink::write(Frame rows) {
  copy_rows(rows, 0, frame_, next_, rows.size().height);
  next_ += rows.size().height;
}

void copy_rows(const Frame& src, int src_row, Frame& dst, int dst_row, int count) {
  UPRES_ASSERT(src.row_bytes() == dst.row_bytes() && src_row + count <= src.size().height &&
                   dst_row + count <= dst.size().height,
               "rows are copied between frames of one width, inside them");
  std::memcpy(dst.row(dst_row), src.row(src_row), size_t(count) * src.row_bytes());
}

}  // namespace upres
