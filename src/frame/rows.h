// SPDX-License-Identifier: Apache-2.0
// Pictures that pass by from top to bottom, some rows at a time, so that none has to be in memory
// whole. A strip is a Frame as wide as the picture.
#pragma once

#include "frame/frame.h"

namespace upres {

/// Gives a picture away.
class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual const FrameInfo& info() const = 0;
  /// The next rows, at least one; not called after the last.
  virtual Frame read() = 0;
};

/// Takes a picture.
class RowSink {
 public:
  virtual ~RowSink() = default;
  /// Takes the next rows; after the last one the picture is whole.
  virtual void write(Frame rows) = 0;
};

/// Rows of about a mebibyte: what a source that has the choice gives at once.
int strip_height(const FrameInfo& info);

/// Passes a whole picture from one to the other.
void pass_rows(RowSource& source, RowSink& sink);

/// True when all alpha samples of the picture are the same. Reads only as far as it must.
bool has_constant_alpha(RowSource& source);

/// A picture in memory as a source. The frame outlives it.
class FrameSource : public RowSource {
 public:
  explicit FrameSource(const Frame& frame) : frame_(frame) {}
  const FrameInfo& info() const override { return frame_.info(); }
  Frame read() override;

 private:
  const Frame& frame_;
  int next_ = 0;
};

/// Fills a picture in memory. The frame outlives it.
class FrameSink : public RowSink {
 public:
  explicit FrameSink(Frame& frame) : frame_(frame) {}
  void write(Frame rows) override;

 private:
  Frame& frame_;
  int next_ = 0;
};

/// Copies `count` rows between frames that differ in height only.
void copy_rows(const Frame& src, int src_row, Frame& dst, int dst_row, int count);

}  // namespace upres
