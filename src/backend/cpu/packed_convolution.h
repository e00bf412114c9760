// SPDX-License-Identifier: Apache-2.0
// Convolutions by the project's own kernels (kernels.h), on all threads: 3x3 by Winograd's
// filtering, others by their definition.
#pragma once

#include <memory>
#include <vector>

#include "backend/cpu/convolution.h"
#include "backend/cpu/kernels.h"
#include "graph/op.h"
#include "tensor/tensor.h"

namespace upres::cpu {

/// What both families share: biases, slopes and factors, packed for the kernels.
class PackedConvolution : public Convolution {
 public:
  std::unique_ptr<Prepared> prepare(int height, int width) const override;

 protected:
  /// `weights`: in panels, as ConvolutionWork has them.
  PackedConvolution(const Conv2d& conv, const Kernels& kernels, Buffer weights);

  /// Makes what `work` says, which is complete.
  virtual void run(const ConvolutionWork& work, float* scratch) const = 0;

  const Kernels& kernels() const { return kernels_; }
  int kernel() const { return kernel_; }
  int in_channels() const { return in_channels_; }
  int out_channels() const { return out_channels_; }

 private:
  class Layer;

  const Kernels& kernels_;
  int kernel_, enlarge_, shuffle_, in_channels_, out_channels_;
  Buffer weights_, biases_, slopes_;
  std::vector<float> addend_scales_;
};

/// 3x3. The weights are transformed each time the layer runs: transformed ones would take seven
/// times the memory, and the time does not show on pictures of 128x128.
class WinogradConvolution : public PackedConvolution {
 public:
  WinogradConvolution(const Conv2d& conv, const Kernels& kernels);
  size_t scratch_bytes(int threads) const override;

 protected:
  void run(const ConvolutionWork& work, float* scratch) const override;

 private:
  TileGrid grid(int tile, int rows, int columns) const;
  size_t transformed_floats(int tile) const;
};

class DirectConvolution : public PackedConvolution {
 public:
  DirectConvolution(const Conv2d& conv, const Kernels& kernels);
  size_t scratch_bytes(int threads) const override;

 protected:
  void run(const ConvolutionWork& work, float* scratch) const override;
};

/// The family that has kernels for the layer.
std::unique_ptr<const Convolution> pack_convolution(const Conv2d& conv, const Kernels& kernels);

}  // namespace upres::cpu
