// SPDX-License-Identifier: Apache-2.0
// A convolution on the GPU, by the family of kernels that serves it best.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "backend/cuda/activations.h"
#include "backend/cuda/convolution_arguments.h"
#include "backend/cuda/row_stream.h"
#include "backend/cuda/runtime.h"
#include "graph/op.h"

namespace upres::cuda {

enum class Family {
  fp32,           ///< plain loops in single precision: every odd kernel size
  portable,       ///< mma.sync: kernels of 1, 3 and 5
  portable_fast,  ///< the same with sums in half precision
  row_stream,     ///< Hopper's, where it has a variant; else the portable one
};

/// What a convolution writes: activations, or the picture's samples.
struct Target {
  Activations out;  ///< as in ConvolutionArguments
  Packed samples;
  int* not_finite;
};

/// A convolution whose weights are on the GPU. Immutable.
class Convolution {
 public:
  /// `upwards`: the direction in which it goes over the picture, where it goes in one: layers that
  /// take turns find in the cache what the one before wrote last. `last`: the sink's convolution,
  /// where it has one.
  Convolution(const Conv2d& conv, Family family, Sink sink, bool upwards,
              const Conv2d* last = nullptr);

  /// Puts it into the stream. Where the sink is activations they become the sums after bias,
  /// activation and addends, zero in the channels that fill their last group. `addends` are the
  /// epilogue's values.
  void launch(const Activations& in, std::span<const Activations> addends, const Target& target,
              cudaStream_t stream) const;

 private:
  Family family_;
  Sink sink_;
  bool upwards_;
  int kernel_;
  int enlarge_;
  int in_groups_;
  int out_groups_;       ///< whole groups of the output
  int tile_groups_ = 0;  ///< of them, what one block of threads computes: the portable family's
  int splits_ = 0;       ///< the row stream's
  std::optional<RowStreamVariant> variant_;
  std::vector<float> addend_scales_;
  DeviceBuffer weights_;
  DeviceBuffer biases_;
  DeviceBuffer slopes_;
  DeviceBuffer last_weights_;
  DeviceBuffer last_biases_;
};

}  // namespace upres::cuda
