// SPDX-License-Identifier: Apache-2.0
// Convolutions on the tensor cores, for every GPU from Ampere on.
#pragma once

#include <span>
#include <vector>

#include "backend/cuda/activations.h"
#include "backend/cuda/runtime.h"
#include "graph/op.h"

namespace upres::cuda {

/// A convolution of kernel 1, 3 or 5 whose weights are on the GPU. Immutable.
class Convolution {
 public:
  explicit Convolution(const Conv2d& conv);

  /// Puts it into the stream: `out` becomes the sums after bias, activation and addends, zero in
  /// the channels that fill its last group. `addends` are the epilogue's values.
  void launch(const Activations16& in, std::span<const Activations16> addends,
              const Activations16& out, cudaStream_t stream) const;

  size_t weight_bytes() const { return weights_.size_bytes(); }

 private:
  int kernel_;
  int enlarge_;
  int in_groups_;
  int out_groups_;   ///< whole groups of the output
  int tile_groups_;  ///< of them, what one block of threads computes
  std::vector<float> addend_scales_;
  DeviceBuffer weights_;
  DeviceBuffer biases_;  ///< then the activation's slopes, one a channel
};

}  // namespace upres::cuda
