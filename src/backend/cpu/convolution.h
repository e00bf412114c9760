// SPDX-License-Identifier: Apache-2.0
// A convolution layer of the backend, whoever computes it.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "backend/cpu/blocks.h"
#include "graph/op.h"

namespace upres::cpu {

/// A layer with its weights packed. Immutable; shared by threads.
class Convolution {
 public:
  virtual ~Convolution() = default;

  /// The layer made ready for results of one size. Lives no longer than the layer.
  class Prepared {
   public:
    virtual ~Prepared() = default;
    /// Makes the rows of `out` that are there, with all threads. `addends` are in the order of the
    /// epilogue's; `scratch` is as large as scratch_bytes() says.
    virtual void run(const Blocks& in, std::span<const Blocks> addends, const Blocks& out,
                     std::byte* scratch) const = 0;
  };
  virtual std::unique_ptr<Prepared> prepare(int height, int width) const = 0;

  /// Memory that run() needs besides the values, for so many threads.
  virtual size_t scratch_bytes(int threads) const = 0;
};

}  // namespace upres::cpu
