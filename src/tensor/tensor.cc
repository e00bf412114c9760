// SPDX-License-Identifier: Apache-2.0
#include "tensor/tensor.h"

#include <fmt/ranges.h>

#include <bit>
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/half.h"

namespace upres {
namespace {

constexpr size_t kAlignment = 64;

template <typename T, typename Convert>
void convert(std::span<const std::byte> bytes, std::vector<float>& floats, Convert&& to_float) {
  for (size_t i = 0; i < floats.size(); ++i) {
    T element;
    std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
    floats[i] = to_float(element);
  }
}

}  // namespace

size_t size_bytes(DType dtype) {
  switch (dtype) {
    case DType::u8:
    case DType::i8:
    case DType::boolean:
      return 1;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
      return 2;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
  }
  UPRES_ASSERT(false, "every DType has a size");
}

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::f32:
      return "float32";
    case DType::f64:
      return "float64";
    case DType::u8:
      return "uint8";
    case DType::i8:
      return "int8";
    case DType::i16:
      return "int16";
    case DType::i32:
      return "int32";
    case DType::i64:
      return "int64";
    case DType::boolean:
      return "bool";
  }
  UPRES_ASSERT(false, "every DType has a name");
}

std::optional<int64_t> element_count(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(count, size, &count)) return std::nullopt;
  }
  return count;
}

std::string to_string(const Shape& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

// Without an early end, so that the compiler can make vectors of it: a graph is verified several
// times on its way to an engine, and x4plus has 17 million weights.
bool all_finite(std::span<const float> numbers) {
  constexpr uint32_t kExponent = 0x7f800000;  // all ones: infinity or NaN
  bool found = false;
  for (const float number : numbers) {
    found |= (std::bit_cast<uint32_t>(number) & kExponent) == kExponent;
  }
  return !found;
}

Buffer::Buffer(size_t size_bytes) : size_bytes_(size_bytes) {
  if (size_bytes > SIZE_MAX - kAlignment) fail(ErrorCode::memory, "cannot allocate 2^64 bytes");
  const size_t rounded = (size_bytes + kAlignment - 1) / kAlignment * kAlignment;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, rounded)));
  if (!data_ && rounded > 0) {
    fail(ErrorCode::memory, "out of memory: cannot allocate {} MiB", size_bytes >> 20);
  }
}

void Buffer::Free::operator()(std::byte* memory) const {
  std::free(memory);
}

Tensor::Tensor(DType dtype, Shape shape, Buffer buffer)
    : dtype_(dtype),
      shape_(std::move(shape)),
      count_(element_count(shape_).value_or(-1)),
      buffer_(std::make_shared<const Buffer>(std::move(buffer))) {
  UPRES_ASSERT(count_ >= 0 && size_t(count_) * size_bytes(dtype_) == buffer_->size_bytes(),
               "a tensor's buffer holds exactly its elements");
}

Tensor Tensor::from_floats(Shape shape, std::span<const float> values) {
  Buffer buffer(values.size_bytes());
  if (!values.empty()) std::memcpy(buffer.data(), values.data(), values.size_bytes());
  return Tensor(DType::f32, std::move(shape), std::move(buffer));
}

Tensor Tensor::outline(DType dtype, Shape shape) {
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.count_ = element_count(tensor.shape_).value_or(-1);
  UPRES_ASSERT(tensor.count_ >= 0, "a tensor has a number of elements");
  return tensor;
}

std::span<const std::byte> Tensor::bytes() const {
  UPRES_ASSERT(buffer_ || count_ == 0, "an outline has no elements");
  return buffer_ ? std::span(buffer_->data(), buffer_->size_bytes()) : std::span<const std::byte>{};
}

std::vector<float> Tensor::to_floats() const {
  std::vector<float> floats(static_cast<size_t>(count_));
  const auto as_is = [](auto element) { return float(element); };
  switch (dtype_) {
    case DType::f16:
      convert<uint16_t>(bytes(), floats, f16_to_f32);
      break;
    case DType::bf16:
      convert<uint16_t>(bytes(), floats, bf16_to_f32);
      break;
    case DType::f32:
      convert<float>(bytes(), floats, as_is);
      break;
    case DType::f64:
      convert<double>(bytes(), floats, as_is);
      break;
    case DType::u8:
      convert<uint8_t>(bytes(), floats, as_is);
      break;
    case DType::i8:
      convert<int8_t>(bytes(), floats, as_is);
      break;
    case DType::i16:
      convert<int16_t>(bytes(), floats, as_is);
      break;
    case DType::i32:
      convert<int32_t>(bytes(), floats, as_is);
      break;
    case DType::i64:
      convert<int64_t>(bytes(), floats, as_is);
      break;
    case DType::boolean:
      convert<uint8_t>(bytes(), floats, [](uint8_t element) { return element ? 1.0f : 0.0f; });
      break;
  }
  return floats;
}

}  // namespace upres
