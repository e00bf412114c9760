// SPDX-License-Identifier: Apache-2.0
// Upscales one picture: chooses tiles, feeds them to an engine, joins the results.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "backend/backend.h"
#include "frame/frame.h"
#include "graph/footprint.h"
#include "graph/graph.h"
#include "tile/grid.h"
#include "tile/rect.h"

namespace upres {

/// How a picture is cut. The defaults depend on the model and the picture only, so that the same
/// command gives the same bytes on every machine.
struct TileOptions {
  /// Pixels of the input per side, what is shared with neighbours not counted; 0: one piece; none:
  /// automatic.
  std::optional<int> side = {};
  /// Pixels of the input that two neighbours share, where the network's halo is too large to be
  /// used whole; none: kDefaultOverlap.
  std::optional<int> overlap = {};
};

/// A halo up to this is used whole, and tiles are exact: the pixels of an untiled picture.
constexpr int kLargestWholeHalo = 48;

/// Chosen by measuring: see docs/tiles.md.
constexpr int kDefaultOverlap = 32;

/// How far a picture is. Counts pixels of the network's result, of every pass (alpha is one).
struct Progress {
  int64_t pixels_done = 0;
  int64_t pixels_total = 0;
};

/// What to tell while a picture is made. Called from the thread that calls run().
struct UpscaleEvents {
  std::function<void(const Progress&)> progress = {};
  /// The tiles that were chosen, before the first one runs.
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

  /// The size the result has: the picture's times the network's scale, or times `scale`.
  Size output_size(Size picture, std::optional<double> scale) const;

  /// Host memory that run() takes beside the picture and the engine's plan, in bytes.
  size_t bytes_needed(const Frame& picture, std::optional<double> scale) const;

  /// Upscales a picture: same channels and sample type as `picture`, output_size() pixels. With
  /// `scale` the network's result is resampled (Lanczos) to that many times the picture.
  /// Error{memory} when even the smallest tile does not fit; Error{interrupted} after a stop
  /// request, which is looked at between tiles.
  Frame run(const Frame& picture, std::optional<double> scale, const UpscaleEvents& events,
            std::stop_token stop);

 private:
  /// Cuts a picture, into smaller tiles than asked for where memory is short.
  TileGrid choose_grid(Size picture, size_t host_bytes, const UpscaleEvents& events);
  int overlap() const;
  bool exact() const { return footprint_.halo <= kLargestWholeHalo; }
  /// The side of tiles that fits the options and the budget; the longest side for one piece.
  int wanted_side(Size picture) const;

  const Device& device_;
  const Engine& engine_;
  int scale_;
  Footprint footprint_;
  double bytes_per_pixel_;
  TileOptions options_;
  std::unique_ptr<Session> session_;
};

}  // namespace upres
