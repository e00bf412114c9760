// SPDX-License-Identifier: Apache-2.0
// Where a frame's samples are: the form in which pictures enter and leave an engine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tile/rect.h"

namespace upres {

/// One stored sample. Integer samples cover 0..255 or 0..65535, floats 0..1.
enum class SampleType : uint8_t { u8, u16, f32 };

inline size_t size_bytes(SampleType type) {
  return type == SampleType::u8 ? 1 : type == SampleType::u16 ? 2 : 4;
}

/// Which memory the planes are in.
enum class MemoryKind : uint8_t { host, pinned, device };

/// A GPU that several libraries work on, and the stream by which one of them tells the others when
/// its work is done. CUDA: a CUcontext and a CUstream.
struct GpuShare {
  int index = 0;
  void* context = nullptr;
  void* stream = nullptr;
};

/// One component: the sample of pixel (x, y) is at data + y * row_bytes + x * step_bytes.
struct Plane {
  std::byte* data = nullptr;
  ptrdiff_t row_bytes = 0;
  ptrdiff_t step_bytes = 0;  ///< from a pixel to its right neighbour; 3 for packed 8-bit RGB
};

/// A non-owning view of a picture: 1 component (gray, or an alpha channel taken by itself) or 3
/// (red, green, blue). Planar and packed layouts differ only in their strides. Whoever hands a
/// view out keeps the samples alive and unchanged until the work that uses it is done.
struct FrameView {
  Size size;
  SampleType type = SampleType::u8;
  int components = 0;
  std::array<Plane, 3> planes = {};
  MemoryKind memory = MemoryKind::host;
  int device = 0;         ///< which one, where memory is MemoryKind::device
  void* ready = nullptr;  ///< the device's event after which the samples may be used; null: now
};

}  // namespace upres
