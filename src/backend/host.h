// SPDX-License-Identifier: Apache-2.0
// What engines on the processor share: sessions, the arena, a cache of plans, and the way of a
// picture's samples in and out. A backend adds its layout and its operators.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "backend/backend.h"
#include "graph/arena.h"
#include "graph/footprint.h"
#include "graph/graph.h"
#include "pixel/convert.h"

namespace upres {

/// A network made ready for one size.
class HostProgram {
 public:
  virtual ~HostProgram() = default;
  /// Runs one node of the graph over an arena. Called for all nodes in order.
  virtual void run(size_t node, std::byte* arena) = 0;
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
  ArenaPlan plan_arena(Size padded) const;

  /// Bytes of a storage for an input of the size `padded`.
  virtual size_t storage_bytes(ValueId storage, Size padded) const = 0;
  /// How the values of an input or output at `memory` are addressed.
  virtual Activations layout(ValueId value, Size padded, std::byte* memory) const = 0;
  /// Everything that depends on the size, save the arena's address.
  virtual std::unique_ptr<HostProgram> prepare(Size padded, const ArenaPlan& arena) const = 0;

 protected:
  HostEngine(Graph graph, const DeviceOptions& options);

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
