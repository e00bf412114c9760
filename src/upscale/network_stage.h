// SPDX-License-Identifier: Apache-2.0
// One pass of a network over a picture that streams by, row of tiles by row of tiles.
#pragma once

#include <functional>
#include <vector>

#include "frame/rows.h"
#include "tile/grid.h"
#include "upscale/job_runner.h"

namespace upres {

/// What one pass does, and what it costs.
struct StagePlan {
  FrameInfo picture;
  FrameInfo result;  ///< the picture times the scale, with its channels and any sample type
  TileGrid grid;
  int scale = 1;
  bool blended = false;     ///< tiles fade into each other; else they are cut where they meet
  bool alpha_runs = false;  ///< else alpha is constant, and stays what it is
  bool eight_ways = false;  ///< every tile runs in all orientations, and the results are averaged

  /// Pixels of the result that the network makes, all its passes counted.
  double work() const;
  /// Host memory for the rows that wait, in bytes: of the picture, of the result, of blended tiles.
  size_t bytes_needed() const;
};

/// Takes the picture and hands the result on.
class NetworkStage : public RowSink {
 public:
  /// `heartbeat` gets the pixels made since its last call, and may throw to stop the work.
  /// `runner` and `next` outlive the stage.
  NetworkStage(StagePlan plan, JobRunner& runner, std::function<void(double)> heartbeat,
               RowSink& next);
  void write(Frame rows) override;

 private:
  /// The colour of a picture, or its alpha as a gray picture.
  struct Part {
    FrameView (Frame::*view)() const;
    Frame sum;  ///< floats of one row of blended tiles; empty where they are cut
  };

  /// Moves rows that are needed to the window's top, and makes room behind them.
  void keep(const Span& needed);
  void run_row();
  void run_cut(Part& part, const Frame& result);
  void run_blended(Part& part, const Frame& result);
  /// Runs the network over `read` of the window; its result stands at the upper left of tile_.
  void run_into_tile(const FrameView& src, const Rect& read);
  void submit(Job job);
  /// The rows of the picture that the present row of tiles reads.
  Rect in_window(const Rect& read) const;
  /// How many rows of the picture are finished with the present row of tiles.
  int rows_finished() const;

  StagePlan plan_;
  JobRunner& runner_;
  std::function<void(double)> heartbeat_;
  RowSink& next_;
  std::vector<Part> parts_;
  Frame window_;          ///< rows of the picture: a strip as it came, or copied from strips
  int window_first_ = 0;  ///< the picture's row that comes first in it
  int window_rows_ = 0;   ///< how many there are
  int row_ = 0;           ///< the present row of tiles
  Frame tile_;            ///< floats of one tile, where they are blended or averaged
  Frame turned_;          ///< floats of one tile in one orientation, where they are averaged
};

}  // namespace upres
