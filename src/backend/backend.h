// SPDX-License-Identifier: Apache-2.0
// The contract between upres and what runs networks.
//
//   Device                what it is, its memory, which graph passes it wants
//     └ load(graph, precision)
//                      → Engine      weights packed for the device; free of shapes
//          └ open()    → Session     one stream of work
//               ├ plan(size)         all that depends on a size, cached
//               ├ submit(job)        returns at once; jobs finish in order
//               └ wait()
#pragma once

#include <climits>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "frame/film_format.h"
#include "frame/frame_view.h"
#include "graph/graph.h"
#include "tile/grid.h"
#include "tile/rect.h"

namespace upres {

/// The numbers that a network is computed in.
enum class Precision {
  automatic,  ///< the first one that the device has
  fp16,       ///< values in half precision, sums in single precision
  fp16_fast,  ///< sums in half precision, too, where the device is faster with it
  fp32,       ///< single precision
};

/// "auto", "fp16", "fp16-fast", "fp32".
std::string_view name(Precision precision);

/// What a device's engines can make use of; compile() runs the passes that need no more.
struct Capabilities {
  /// Convolutions take an Epilogue with activation and addends.
  bool fused_epilogue = false;
  /// A value can be a range of another's channels if its first channel is a multiple of this;
  /// 0: it cannot.
  int slice_alignment = 0;
  /// Convolutions read enlarged inputs.
  bool enlarged_inputs = false;
  /// The factor by which the last convolution can shuffle its result; 0: none.
  int shuffled_result = 0;
};

/// One piece of work: runs the network over `read` of `src` and stores a part of the result.
///
///     src          the network's result            dst
///     ┌──────┐     ┌ skip ─────────────┐           ┌────────────┐
///     │ read │ x s │   ┌ write.size ┐  │     →     │   write    │
///     └──────┘     └───┴────────────┴──┘           └────────────┘
///
/// `read` need not be a multiple of the graph's alignment: it is padded right and below by
/// reflection. A gray `src` enters as three equal channels; a gray `dst` gets the BT.601 luma of
/// the result. The frames stay valid until wait() has returned.
struct Job {
  FrameView src = {};
  Rect read = {};  ///< within src
  FrameView dst = {};
  Rect write = {};  ///< within dst
  Point skip = {};  ///< the result's pixel that lands on write's first one
  /// Where set, it is called with the share of the job that is done, up to 1: by engines that work
  /// inside submit() after every layer, by others when the job is finished, inside wait() or a
  /// later submit(). What it throws comes out of there and ends all jobs that are not finished.
  std::function<void(double)> heartbeat = {};
};

/// One stream of work on an engine. Used by one thread at a time; sessions of one engine are
/// independent of each other.
class Session {
 public:
  virtual ~Session() = default;

  /// Prepares for jobs whose `read` is of this size: allocates the activations. False when there
  /// is not enough memory; the session is then as it was. Planning a size again costs nothing
  /// while it is cached; submit() plans by itself where needed.
  [[nodiscard]] virtual bool plan(Size read) = 0;

  /// Starts a job. Error{memory} when its size was not planned and does not fit. After an exception
  /// no job is under way and no frame is touched any more.
  virtual void submit(const Job& job) = 0;

  /// Returns when all jobs are done. Errors of jobs that ran meanwhile are thrown here, as by
  /// submit().
  virtual void wait() = 0;

  /// How many of the jobs that were done since open() left half precision's range and were computed
  /// again in single precision.
  virtual int64_t repaired() const { return 0; }
};

/// How the frames of a film pass through a network.
struct FilmRoute {
  FilmFormat src;  ///< of the frames that come; it and dst's without alpha
  FilmLayout dst;  ///< of those that are made: as large as the network's result
  TileGrid grid;   ///< of a frame; its tiles are cut where they meet
};

/// Films on a device that converts their samples itself: those of a decoder become R'G'B' of 16
/// bits there, and the network's result becomes those of an encoder. Frames are on their way
/// together, and finish in order. Used by one thread, but for memory() and same_samples().
class FilmSession {
 public:
  virtual ~FilmSession() = default;

  /// The tiles of a frame: the route's.
  virtual const TileGrid& grid() const = 0;

  /// How many frames may be on their way at once.
  virtual size_t depth() const = 0;

  /// Host memory for a frame of the route's dst, uninitialised, that the device writes to by
  /// itself. It may outlive the session. Called by any thread.
  virtual std::shared_ptr<std::byte> memory() = 0;

  /// Starts a frame of the route's src, in the host's memory or in that of any device of the
  /// backend. Its samples are no longer needed when this returns; dst is written to until the frame
  /// is finished.
  virtual void submit(const FilmView& src, std::shared_ptr<std::byte> dst) = 0;

  /// Waits for the first frame that is not finished. False where half precision overflowed: dst
  /// holds nothing of use then, and source() is to be made by another way.
  [[nodiscard]] virtual bool finish() = 0;

  /// The frame that was finished last as it came, in `memory`. Valid until the next submit().
  virtual FilmView source(std::vector<std::byte>& memory) = 0;

  /// How long the network itself has run for the frames that are finished, in seconds.
  virtual double network_s() const = 0;

  /// Whether frames of one format, one of them at least in a device's memory, have the same
  /// samples. Called by one thread, which may be another one than that of the rest.
  virtual bool same_samples(const FilmView& a, const FilmView& b) = 0;
};

/// A network loaded on a device. Immutable; shared by threads. Outlives its sessions.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual std::unique_ptr<Session> open() const = 0;

  /// A stream of a film's frames. Null where memory does not suffice, or where the device leaves
  /// films to the host: where Device::gpu() is none.
  virtual std::unique_ptr<FilmSession> open_film(const FilmRoute&) const { return nullptr; }

  /// Device memory a session takes to plan this size, known before anything is allocated.
  virtual size_t bytes_needed(Size read) const = 0;

  /// The largest `read` that its sessions take, whatever the memory; tiles are no larger.
  virtual Size largest() const { return {INT_MAX, INT_MAX}; }
};

/// What is told while Device::load() takes its time, by devices that build engines first, and what
/// may end that.
struct LoadEvents {
  /// One sentence that the user should read; may be empty.
  std::function<void(const std::string&)> notice = {};
  /// The share that is done, up to 1, from any thread; may be empty.
  std::function<void(double)> progress = {};
  /// load() ends with Error{interrupted} soon after a stop request.
  std::stop_token stop = {};

  void tell(const std::string& sentence) const {
    if (notice) notice(sentence);
  }
};

/// How a device is to be used.
struct DeviceOptions {
  int threads = 0;          ///< of the processor, for engines that run there; 0: one per core
  size_t memory_limit = 0;  ///< bytes a session's plan may take; 0: what the device has
  int gpu = 0;              ///< which one, for backends that run on GPUs
  /// Whether a GPU runs the kernels that all GPUs have, where it has better ones: to compare them.
  bool portable_kernels = false;
  /// The size of picture that engines are to be fastest at, for devices that build them first.
  std::optional<Size> size_hint = {};
  LoadEvents events = {};
};

/// A device that networks run on. Immutable; shared by threads. Outlives its engines.
class Device {
 public:
  virtual ~Device() = default;

  virtual std::string name() const = 0;  ///< "AMD EPYC, 2 threads, AVX2"
  virtual Capabilities capabilities() const = 0;
  /// Those that load() takes, at least one; the first is what `automatic` means.
  virtual std::vector<Precision> precisions() const = 0;
  /// Whether plans take the host's memory; else the device has its own.
  virtual bool uses_host_memory() const = 0;
  /// What the activations of a tile may take, in bytes, where its size is left to upres. The same
  /// for every device of a backend, so that the same command gives the same bytes.
  virtual size_t tile_budget() const = 0;
  /// Memory that a plan may take now, in bytes, when the caller is about to fill `host_bytes` of
  /// the host's memory with something else.
  virtual size_t memory_available(size_t host_bytes) const = 0;

  /// The GPU, for decoders that leave frames in its memory; none where engines open no films.
  virtual std::optional<GpuShare> gpu() const { return std::nullopt; }

  /// The precision that load() will use. Error{usage} when it is not one of the device's.
  Precision chosen(Precision wanted) const;
  /// Packs the weights of a verified graph. The graph may hold what capabilities() promises.
  std::unique_ptr<Engine> load(const Graph& graph, Precision wanted = Precision::automatic) const {
    return load_as(graph, chosen(wanted));
  }

 protected:
  /// load() with one of precisions().
  virtual std::unique_ptr<Engine> load_as(const Graph& graph, Precision precision) const = 0;
};

/// A backend of this build.
struct BackendInfo {
  std::string name;   ///< for open_device()
  std::string built;  ///< on what: "oneDNN 2.6.3"
  bool (*can_run)();  ///< whether this machine has what it runs on
};

/// All of them, in the order in which "auto" prefers them; it takes none behind the reference.
std::vector<BackendInfo> backends();

/// Opens a device of the backend `name` ("auto", "cpu", "reference"). Error{usage} when there is
/// no such backend.
std::unique_ptr<Device> open_device(const std::string& name, const DeviceOptions& options);

}  // namespace upres
