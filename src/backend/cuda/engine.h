// SPDX-License-Identifier: Apache-2.0
// A network on the GPU: its weights, and what has to be launched for a picture of some size.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <variant>
#include <vector>

#include "backend/backend.h"
#include "backend/cuda/activations.h"
#include "backend/cuda/convolution.h"
#include "backend/cuda/layout.h"
#include "backend/cuda/pixels.h"
#include "backend/cuda/runtime.h"

namespace upres::cuda {

/// A picture on its way through a network, all of it in the GPU's memory.
struct Work {
  Packed src;
  Packed dst;              ///< the whole result, padding included
  std::byte* gray_floats;  ///< where dst is gray: memory for its three floats a pixel
  std::byte* arena;
  int* not_finite;  ///< becomes 1 where a result is not a number, or infinite
};

class CudaEngine : public Engine {
 public:
  /// `precision` is not automatic.
  CudaEngine(const Graph& graph, const DeviceOptions& options, Precision precision);

  std::unique_ptr<Session> open() const override;
  std::unique_ptr<FilmSession> open_film(const FilmRoute& route) const override;
  size_t bytes_needed(Size read) const override;

  /// Makes the engine's GPU that of the calling thread.
  void use_gpu() const;
  const Graph& graph() const { return graph_; }
  const DeviceOptions& options() const { return options_; }
  /// The node before the last, where one kernel makes both.
  std::optional<size_t> paired() const { return paired_; }
  Layout plan(Size read) const;
  /// Puts the network into the stream, from samples to samples.
  void launch(const Layout& layout, const Work& work, cudaStream_t stream) const;
  /// Puts one operator there, for one band where it runs in bands. Of a pair the last one is both.
  void launch_node(size_t node, const Layout& layout, size_t band, const Work& work,
                   cudaStream_t stream) const;
  /// The same network in single precision; made when it is first asked for. Null where this one is.
  const CudaEngine* in_single_precision() const;

 private:
  /// What an operator needs on the GPU: a packed convolution, slopes or a table of taps.
  using Prepared = std::variant<std::monostate, Convolution, DeviceBuffer>;

  Graph graph_;
  DeviceOptions options_;
  Precision precision_;
  Element element_;
  int alignment_;
  std::optional<size_t> paired_;
  std::vector<Prepared> prepared_;  ///< by node
  mutable std::once_flag made_single_;
  mutable std::unique_ptr<CudaEngine> single_;
};

}  // namespace upres::cuda
