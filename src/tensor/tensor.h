// SPDX-License-Identifier: Apache-2.0
// Owned memory, and immutable tensors over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace upres {

/// Sizes, outermost first. A scalar has none.
using Shape = std::vector<int64_t>;

/// Product of the sizes; nothing when one is negative or the product overflows int64.
std::optional<int64_t> element_count(const Shape& shape);

/// "64x3x3x3"; "scalar" for no sizes.
std::string to_string(const Shape& shape);

/// True when no number is infinite or NaN.
bool all_finite(std::span<const float> numbers);

/// A block of memory aligned to 64 bytes (a cache line and an AVX-512 register). Move-only.
class Buffer {
 public:
  Buffer() = default;
  /// Uninitialised memory; Error{memory} when there is not enough.
  explicit Buffer(size_t size_bytes);

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  size_t size_bytes() const { return size_bytes_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> data_;
  size_t size_bytes_ = 0;
};

/// An immutable, contiguous tensor (row-major, native byte order). Copies share the memory.
class Tensor {
 public:
  Tensor() = default;
  /// Takes ownership of `buffer`, which holds exactly the elements of `shape`.
  Tensor(DType dtype, Shape shape, Buffer buffer);
  /// A float32 tensor of `values`.
  static Tensor from_floats(Shape shape, std::span<const float> values);
  /// A tensor of which only type and shape are known: its elements must not be asked for. `shape`
  /// has a number of elements.
  static Tensor outline(DType dtype, Shape shape);

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t count() const { return count_; }
  std::span<const std::byte> bytes() const;

  /// The elements as float32, converted element by element. f16, bf16 and f32 convert exactly,
  /// f64 is rounded to nearest, integers beyond 2^24 too.
  std::vector<float> to_floats() const;

 private:
  DType dtype_ = DType::f32;
  Shape shape_;
  int64_t count_ = 0;
  std::shared_ptr<const Buffer> buffer_;
};

}  // namespace upres
