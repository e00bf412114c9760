// SPDX-License-Identifier: Apache-2.0
// A network on the processor's cores.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "backend/cpu/blocks.h"
#include "backend/cpu/convolution.h"
#include "backend/cpu/kernels.h"
#include "backend/host.h"

namespace upres::cpu {

/// What computes the convolutions, and how it wants values.
struct Family {
  int lanes;  ///< channels of a vector
  /// The project's own: a pixel's channels lie side by side. Null for oneDNN, where groups of
  /// `lanes` do, every group by itself.
  const Kernels* kernels;
  Capabilities capabilities;
  std::function<std::unique_ptr<const Convolution>(const Conv2d&)> pack;
};

class CpuEngine : public HostEngine {
 public:
  CpuEngine(const Graph& graph, const DeviceOptions& options, const Family& family);

  Activations activations(const HostLayout& layout, size_t band, ValueId value,
                          std::byte* arena) const override;
  std::unique_ptr<HostProgram> prepare(const HostLayout& layout) const override;
  void store(const Activations& src, const FrameView& dst, const Rect& write, int first_row,
             int last_row) const override;

  /// A value as it is during a band.
  Blocks blocks(const HostLayout& layout, size_t band, ValueId id, std::byte* arena) const;

 protected:
  size_t storage_bytes(ValueId storage, Size padded, int rows) const override;
  size_t band_limit_bytes() const override;
  size_t scratch_bytes() const override;

 private:
  /// Channels that a storage has room for: whole vectors.
  int whole_vectors(ValueId storage) const;

  int lanes_;
  const Kernels* kernels_;
  std::vector<std::unique_ptr<const Convolution>> convolutions_;  ///< by node; null for others
};

}  // namespace upres::cpu
