// SPDX-License-Identifier: Apache-2.0
// How values lie in the GPU's memory.
#pragma once

#include <cuda_fp16.h>

namespace upres::cuda {

/// Channels come in groups of this many: one step of the tensor cores' sums. A storage has whole
/// groups, and what its last one has beyond the value's channels is zero: it is multiplied by zero
/// weights, and a NaN left there by another value would not vanish.
constexpr int kGroup = 16;

constexpr int whole_groups(int channels) {
  return (channels + kGroup - 1) / kGroup * kGroup;
}

/// A value: channel c of pixel (x, y) is at data[(y * width + x) * stride + c].
struct Activations16 {
  __half* data;
  int width;
  int height;
  int channels;
  int stride;  ///< channels of the storage, whole groups
};

}  // namespace upres::cuda
