// SPDX-License-Identifier: Apache-2.0
// How values lie in the GPU's memory.
#pragma once

#include <cuda_fp16.h>

#include <cstddef>
#include <cstdint>

namespace upres::cuda {

/// Channels come in groups of this many: one step of the tensor cores' sums. What the last group of
/// a value has beyond its channels is zero: it is multiplied by zero weights, and a NaN left there
/// by another value would not vanish.
constexpr int kGroup = 16;

constexpr int whole_groups(int channels) {
  return (channels + kGroup - 1) / kGroup * kGroup;
}

/// A storage is a row of planes, each of this many channels of all pixels: a convolution that reads
/// a part of the channels reads whole cache lines. Storages of one group are one narrower plane.
constexpr int kBlock = 32;

constexpr int block_of(int storage_channels) {
  return storage_channels <= kGroup ? kGroup : kBlock;
}
constexpr int whole_blocks(int storage_channels) {
  const int block = block_of(storage_channels);
  return (storage_channels + block - 1) / block * block;
}

enum class Element : uint8_t { f16, f32 };
constexpr size_t size_bytes(Element element) {
  return element == Element::f16 ? 2 : 4;
}

/// A value, or a band of its rows. Channel c of pixel (x, y) is the element
///     c / block * block_stride + ((y - first_row) * width + x) * block + c % block
/// of `data`; a place in a wider storage begins at a whole block of it.
struct Activations {
  std::byte* data;
  Element element;
  int width, height;    ///< of the whole value
  int first_row, rows;  ///< what is there of it
  int channels;
  int block;
  int64_t block_stride;
};

/// Calls `body` with a zero of the element's C++ type.
template <typename Body>
void with_element(Element element, Body&& body) {
  element == Element::f16 ? body(__half{}) : body(float{});
}

#ifdef __CUDACC__
constexpr int kBlockShift = 5;
static_assert(kBlock == 1 << kBlockShift && kGroup == 1 << (kBlockShift - 1));

template <typename T>
__device__ T* pointer_to(const Activations& value, int x, int y, int channel) {
  const int shift = value.block == kBlock ? kBlockShift : kBlockShift - 1;  // no divisions here
  return reinterpret_cast<T*>(value.data) + (channel >> shift) * value.block_stride +
         (int64_t(y - value.first_row) * value.width + x) * value.block +
         (channel & (value.block - 1));
}
#endif

}  // namespace upres::cuda
