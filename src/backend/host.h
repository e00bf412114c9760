// SPDX-License-Identifier: Apache-2.0
// What engines on the processor share: sessions, the arena, a cache of plans, and the way of a
// picture's samples in and out. A backend adds its layout and its operators.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "graph/arena.h"
#include "graph/bands.h"
#include "graph/footprint.h"
#include "graph/graph.h"
#include "pixel/convert.h"

namespace upres {

/// Where all values are for one size of picture, and in what pieces they are made.
struct HostLayout {
  Size padded;          ///< the network's input
  size_t first_banded;  ///< this node and all after it run once a band
  Bands bands;
  ArenaPlan arena;
  size_t scratch_offset;  ///< in the arena, behind all values
};

/// A network made ready for one size.
class HostProgram {
 public:
  virtual ~HostProgram() = default;
  /// Runs one node of the graph over an arena. Called for all nodes in order, and for those that
  /// are banded once a band, all of a band in order.
  virtual void run(size_t node, size_t band, std::byte* arena) = 0;
};

/// An engine whose sessions finish each job inside submit().
class HostEngine : public Engine {
 public:
  std::unique_ptr<Session> open() const final;
  size_t bytes_needed(Size read) const final;

  const Graph& graph() const { return graph_; }
  const DeviceOptions& options() const { return options_; }
  /// The share of all arithmetic that is done after each node, 0..1.
  const std::vector<double>& share_done() const { return share_done_; }

  /// `read` rounded up to the graph's alignment: the size the network runs at.
  Size padded(Size read) const;
  HostLayout plan_layout(Size padded) const;

  /// How the values of an input or output are addressed, from the first row that is made in a band
  /// on.
  virtual Activations activations(const HostLayout& layout, size_t band, ValueId value,
                                  std::byte* arena) const = 0;
  /// Everything that depends on the size, save the arena's address.
  virtual std::unique_ptr<HostProgram> prepare(const HostLayout& layout) const = 0;
  /// Rows of the result into a picture: see pixel/convert.h.
  virtual void store(const Activations& src, const FrameView& dst, const Rect& write, int first_row,
                     int last_row) const;

 protected:
  HostEngine(Graph graph, const DeviceOptions& options);

  /// Bytes of so many rows of a storage for an input of the size `padded`.
  virtual size_t storage_bytes(ValueId storage, Size padded, int rows) const = 0;
  /// What values of the network's tail may take each, in bytes: it is made in bands where they
  /// would take more.
  virtual size_t band_limit_bytes() const { return SIZE_MAX; }
  /// Memory that nodes need besides values.
  virtual size_t scratch_bytes() const { return 0; }

  Graph graph_;

 private:
  DeviceOptions options_;
  int alignment_;
  std::vector<double> share_done_;
};

/// A device whose engines are HostEngines.
class HostDevice : public Device {
 public:
  explicit HostDevice(const DeviceOptions& options) : options_(options) {}

  std::vector<Precision> precisions() const override { return {Precision::fp32}; }
  bool uses_host_memory() const override { return true; }
  size_t tile_budget() const override;
  size_t memory_available(size_t host_bytes) const override;

 protected:
  DeviceOptions options_;
};

/// Memory a plan may take: what the machine has left besides `host_bytes`, at most the options'
/// limit.
size_t memory_available(const DeviceOptions& options, size_t host_bytes);

/// The options' threads, or one per processor.
int thread_count(const DeviceOptions& options);

/// Makes OpenMP, and so oneDNN, use thread_count() threads for what this thread starts from now on.
/// oneDNN fixes the number when it makes a primitive, so loading and planning need it too.
void use_threads(const DeviceOptions& options);

}  // namespace upres
