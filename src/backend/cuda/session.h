// SPDX-License-Identifier: Apache-2.0
// A network on the GPU, and one stream of work on it.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/activations.h"
#include "backend/cuda/convolution.h"
#include "backend/cuda/pixels.h"
#include "backend/cuda/runtime.h"
#include "graph/arena.h"

namespace upres::cuda {

class CudaEngine : public Engine {
 public:
  CudaEngine(const Graph& graph, const DeviceOptions& options, Precision precision);

  std::unique_ptr<Session> open() const override;
  size_t bytes_needed(Size read) const override;

  /// Makes the engine's GPU that of the calling thread.
  void use_gpu() const;
  const Graph& graph() const { return graph_; }
  const DeviceOptions& options() const { return options_; }
  Size padded(Size read) const;
  ArenaPlan plan_arena(Size padded) const;
  /// A value in an arena.
  Activations16 activations(ValueId id, Size padded, const ArenaPlan& plan, std::byte* arena) const;
  /// Puts one operator into the stream.
  void launch_node(size_t node, Size padded, const ArenaPlan& plan, std::byte* arena,
                   cudaStream_t stream) const;
  /// Puts all of them there.
  void launch(Size padded, const ArenaPlan& plan, std::byte* arena, cudaStream_t stream) const;

 private:
  /// What an operator needs on the GPU: a packed convolution, slopes or a table of taps.
  using Prepared = std::variant<std::monostate, Convolution, DeviceBuffer>;

  Graph graph_;
  DeviceOptions options_;
  int alignment_;
  std::vector<Prepared> prepared_;  ///< by node
};

}  // namespace upres::cuda
