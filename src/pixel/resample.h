// SPDX-License-Identifier: Apache-2.0
// Resizing by a separable Lanczos filter.
#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "frame/rows.h"

namespace upres {

/// The filter of one output sample: weights for the input samples first, first + 1, …; they add up
/// to 1.
struct ResampleTaps {
  int first = 0;
  std::vector<float> weights;
};

/// The taps of every output sample for a line of `from` samples made into `to`: Lanczos with three
/// lobes, pixel centres at i + 1/2, the kernel stretched by from/to when the line gets shorter so
/// that nothing aliases. Taps beyond the ends are left out and the rest made to add up to 1.
std::vector<ResampleTaps> lanczos_taps(int from, int to);

/// Resamples a picture that passes by: what comes in goes on to the next sink in another size, and
/// maybe another sample type, rounded half up, then clamped. Where there is alpha, colours count by
/// it, so that what hides under transparent pixels does not bleed into visible ones.
class Resampler : public RowSink {
 public:
  /// `to` has the channels of `from`. `next` outlives it.
  Resampler(const FrameInfo& from, const FrameInfo& to, RowSink& next);
  void write(Frame rows) override;

  /// Memory it takes, in bytes.
  static size_t bytes_needed(const FrameInfo& from, const FrameInfo& to);

 private:
  using Row = std::vector<float>;

  /// The next row of the result, which needs no row beyond those in the window.
  Row sum_rows() const;

  FrameInfo to_;
  RowSink& next_;
  std::vector<ResampleTaps> across_;
  std::vector<ResampleTaps> down_;
  std::deque<Row> window_;  ///< rows already resampled across that are still needed
  int window_first_ = 0;    ///< which row of the picture comes first in it
  int rows_out_ = 0;
};

}  // namespace upres
