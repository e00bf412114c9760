// SPDX-License-Identifier: Apache-2.0
// One convolution layer through oneDNN, in the blocked layout of blocks.h.
#pragma once

#include <dnnl.hpp>
#include <span>
#include <vector>

#include "backend/cpu/blocks.h"
#include "backend/cpu/convolution.h"
#include "graph/op.h"

namespace upres::cpu {

/// A layer with its weights packed for oneDNN's kernel. Channels are padded to whole vectors with
/// weights of zero: oneDNN 2.6 has fast kernels for those only.
///
/// Bias, ReLU, LeakyReLU and addends run inside the kernel where oneDNN 2.6 has one for them. It
/// has none for PReLU (it falls back to a plain loop, far slower), and it gives every
/// factor of an epilogue the value of the first one. Such epilogues run as passes over the result.
class OneDnnConvolution : public Convolution {
 public:
  OneDnnConvolution(const Conv2d& conv, int lanes);

  std::unique_ptr<Prepared> prepare(int height, int width) const override;
  size_t scratch_bytes(int) const override { return 0; }

 private:
  class Primitive;

  /// The epilogue as oneDNN's post-operations for one size, and the arguments of its addends.
  struct PostOps {
    dnnl::primitive_attr attr;
    std::vector<int> addend_arguments;
  };
  PostOps post_ops(int height, int width) const;
  dnnl::convolution_forward::primitive_desc describe(int height, int width,
                                                     const dnnl::memory::desc& weights,
                                                     const dnnl::primitive_attr& attr) const;

  int in_channels_, out_channels_, kernel_, lanes_;  ///< channels padded to whole vectors
  Epilogue epilogue_;
  bool fused_;  ///< the epilogue runs inside the kernel
  /// The factor of a fused epilogue's first addend. The kernel makes (sum / f + addend) * f of
  /// sum + f * addend: weights and biases are packed divided by f.
  float factor_;
  dnnl::memory weights_, biases_;
};

}  // namespace upres::cpu
