// SPDX-License-Identifier: Apache-2.0
// Frames of a film through the network: decode ∥ upscale ∥ encode, in order.
//
//      source ┬→ waiting → film to picture → network → picture to film, one thread a device ─┐
//  one thread └→ in order → ........................................... result ready ←───────┘
//                    └→ sink: one thread
//
// Pictures pass in strips, which a processor's cache holds where the network's tiles let them; what
// is made as a whole is converted by a thread beside the device's own. A GPU waits for no
// conversion: pictures are made ahead of it, too. Where it has both conversions itself
// (FilmSession), frames pass as samples, and several are on their way there. Between the threads a
// few frames wait, however long the film is.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "media/film_frame.h"
#include "upscale/upscaler.h"

namespace upres {

/// Gives the next frame; none at the end.
using FilmSource = std::function<std::optional<FilmFrame>()>;

/// Takes a film's results, in order.
class FilmSink {
 public:
  virtual ~FilmSink() = default;
  /// What results are made of, each in one block of memory.
  virtual FilmLayout layout() const = 0;
  /// A frame of samples in that layout, with the times of a source's.
  virtual FilmFrame frame(const FilmFrame& source, std::shared_ptr<std::byte> samples) = 0;
  virtual void put(const FilmFrame& made) = 0;
};

/// What happened, and what each part of the work took by itself, waiting not counted.
struct FilmCount {
  int64_t frames = 0;
  int64_t duplicates = 0;  ///< of those: like the one before, and not run again
  TileCount tiles;
  double decode_s = 0;
  double network_s = 0;  ///< of all devices; with what is converted on the processor
  /// Of the time from the network's first frame to its last one, how much its devices were at work.
  double network_share = 0;
  double encode_s = 0;
};

struct FilmEvents {
  /// After every frame that the sink has taken, and between; called by the thread that runs.
  std::function<void(int64_t frames_done)> progress = {};
  std::function<void(const TileGrid&)> planned = {};  ///< once
  std::function<void(const std::string&)> notice = {};
};

/// What holds the work while the user wants so. Shared by threads.
class PauseButton {
 public:
  void toggle();
  /// Returns when not paused, or when the stop is requested; calls `meanwhile` until then.
  void wait(const std::stop_token& stop, const std::function<void()>& meanwhile) const;
  bool is_paused() const { return paused_; }

 private:
  std::atomic<bool> paused_ = false;
};

struct FilmStreamOptions {
  /// But for size and type, which are the sink's.
  UpscaleOptions upscale = {};
  /// Whether a frame whose samples are all like the last one's gets its result without being run.
  bool duplicates_once = true;
  const PauseButton* pause = nullptr;
};

/// Runs a film. `upscalers`: one a device, of the same network; each is used by one thread. What
/// any part throws comes out, and ends all; Error{interrupted} after a stop request.
FilmCount run_film(const FilmSource& source, const std::vector<Upscaler*>& upscalers,
                   FilmSink& sink, const FilmStreamOptions& options, const FilmEvents& events,
                   const std::stop_token& stop);

}  // namespace upres
