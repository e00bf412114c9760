// SPDX-License-Identifier: Apache-2.0
// Upscales pictures: chooses tiles, and lets the rows of a picture stream through one or more
// passes of a network and the resampling to the size that was asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "frame/rows.h"
#include "graph/footprint.h"
#include "graph/graph.h"
#include "tile/grid.h"
#include "tile/rect.h"
#include "upscale/job_runner.h"
#include "upscale/network_stage.h"
#include "upscale/output_size.h"

namespace upres {

/// How a picture is cut, and what for. The defaults depend on the model, the picture and the
/// backend only, so that the same command gives the same bytes on every machine.
struct TileOptions {
  /// Pixels of the input per side, what is shared with neighbours not counted; 0: one piece; none:
  /// automatic.
  std::optional<int> side = {};
  /// Pixels of the input that two neighbours share, where the network's halo is too large to be
  /// used whole; none: kDefaultOverlap.
  std::optional<int> overlap = {};
  /// The host's memory that this process may take, in bytes; 0: what the machine has left.
  size_t memory_limit = 0;
};

/// What a result is to be.
struct UpscaleOptions {
  OutputSize size = {};
  std::optional<SampleType> type = {};  ///< none: the picture's
  /// Whether the network runs on its own result until it is at least the size asked for; else once.
  bool repeat = false;
  /// Whether results in all eight orientations are averaged (test-time augmentation).
  bool eight_ways = false;
};

/// A halo up to this is used whole, and tiles are exact: the pixels of an untiled picture.
constexpr int kLargestWholeHalo = 48;

/// Chosen by measuring: see docs/tiles.md.
constexpr int kDefaultOverlap = 32;

/// How far a picture is. Counts pixels that the network makes, in every pass (alpha is one).
struct Progress {
  int64_t pixels_done = 0;
  int64_t pixels_total = 0;
};

/// What to tell while a picture is made. Called from the thread that calls run().
struct UpscaleEvents {
  std::function<void(const Progress&)> progress = {};
  /// The tiles that were chosen for each run of the network, before the first one.
  std::function<void(const TileGrid&)> planned = {};
  /// One sentence the user should read: "tiles of 256 instead of 512 pixels: ...".
  std::function<void(const std::string&)> notice = {};
};

/// Upscales pictures with one network on one device. Not thread-safe: one per thread; engine and
/// device are shared. Both outlive it.
class Upscaler {
 public:
  /// `graph` is the network that was compiled into `engine` on `device`.
  Upscaler(const Device& device, const Engine& engine, const Graph& graph, TileOptions tiles);

  /// What run() will give.
  FrameInfo result_info(const FrameInfo& picture, const UpscaleOptions& options) const;

  /// Upscales a picture into `result`: result_info() pixels. `constant_alpha` says that the
  /// picture's alpha samples are all the same; it then stays what it is. Error{memory} when even
  /// the smallest tile does not fit; Error{interrupted} after a stop request, which is looked at
  /// while the network runs. Gives the tiles that were made.
  TileCount run(RowSource& picture, bool constant_alpha, RowSink& result,
                const UpscaleOptions& options, const UpscaleEvents& events,
                const std::stop_token& stop);

  /// Whether its engine's work is the processor's.
  bool uses_host_memory() const { return device_.uses_host_memory(); }

  /// Whether its device may have the films' conversions itself.
  bool converts_films() const { return device_.gpu().has_value(); }

  /// A film's way through the network as samples, where the device has it and one run makes the
  /// size that is asked for; null otherwise, where memory does not suffice and where tiles fade
  /// into each other.
  std::unique_ptr<FilmSession> open_film(const FilmFormat& film, const FilmLayout& result,
                                         const UpscaleOptions& options);

  /// run() for a picture in memory.
  Frame run(const Frame& picture, const UpscaleOptions& options, const UpscaleEvents& events,
            const std::stop_token& stop);

 private:
  /// All runs of the network. The last one's result has the size of the options, or is resampled.
  std::vector<StagePlan> plan(const FrameInfo& picture, bool constant_alpha,
                              const UpscaleOptions& options, const UpscaleEvents& events);
  /// Cuts a stage's picture, into smaller tiles than asked for where memory is short. `rest` is
  /// what all else takes.
  void choose_grid(StagePlan& stage, size_t rest, const UpscaleEvents& events);
  TileGrid grid(Size picture, Size tile) const;
  /// The tiles that fit the options and the budgets, what they share not counted.
  Size wanted_tile(const StagePlan& stage) const;
  /// The same, no larger than the engine takes.
  Size taken_tile(Size wanted, Size picture) const;
  /// Memory that tiles may take when so much of the host's is needed besides, in bytes.
  size_t memory_available(size_t besides) const;
  int overlap() const;
  bool exact() const { return footprint_.halo <= kLargestWholeHalo; }

  const Device& device_;
  const Engine& engine_;
  int scale_;
  Footprint footprint_;
  double bytes_per_pixel_;  ///< of the input: what automatic tiles are chosen by
  TileOptions options_;
  JobRunner runner_;
  size_t resident_;  ///< what the process took when the network was loaded and nothing planned
};

}  // namespace upres
