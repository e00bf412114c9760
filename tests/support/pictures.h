// SPDX-License-Identifier: Apache-2.0
// What tests do with pictures that pass by in strips.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "frame/rows.h"

namespace upres::test {

inline bool equal(const Frame& a, const Frame& b) {
  return a.info() == b.info() && std::memcmp(a.data(), b.data(), a.total_bytes()) == 0;
}

/// The same picture but for the rounding of sums, as where Winograd's tiles lie elsewhere: 8 bits
/// within one level, floats within 1e-5.
inline bool equal_but_for_rounding(const Frame& a, const Frame& b) {
  UPRES_ASSERT(a.type() != SampleType::u16, "compares bytes or floats");
  if (a.info() != b.info()) return false;
  const size_t count = a.total_bytes() / size_bytes(a.type());
  for (size_t i = 0; i < count; ++i) {
    if (a.type() == SampleType::u8) {
      if (std::abs(int(a.data()[i]) - int(b.data()[i])) > 1) return false;
    } else {
      const auto value = [&](const Frame& f) {
        return reinterpret_cast<const float*>(f.data())[i];
      };
      if (!(std::abs(value(a) - value(b)) <= 1e-5f)) return false;
    }
  }
  return true;
}

/// A picture in strips of `height` rows, the last one of what is left.
class StripSource : public RowSource {
 public:
  StripSource(const Frame& frame, int height) : frame_(frame), height_(height) {}

  const FrameInfo& info() const override { return frame_.info(); }
  Frame read() override {
    const int rows = std::min(height_, frame_.size().height - next_);
    Frame strip({frame_.size().width, rows}, frame_.type(), frame_.channels());
    copy_rows(frame_, next_, strip, 0, rows);
    next_ += rows;
    return strip;
  }
  int rows_read() const { return next_; }

 private:
  const Frame& frame_;
  int height_;
  int next_ = 0;
};

/// What gives rows until it fails.
class FailingSource : public RowSource {
 public:
  FailingSource(const FrameInfo& info, int good_rows) : info_(info), good_rows_(good_rows) {}

  const FrameInfo& info() const override { return info_; }
  Frame read() override {
    if (good_rows_-- == 0) throw Error(ErrorCode::input, "the rest is missing");
    return Frame({info_.size.width, 1}, info_.type, info_.channels);
  }

 private:
  FrameInfo info_;
  int good_rows_;
};

}  // namespace upres::test
