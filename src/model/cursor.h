// SPDX-License-Identifier: Apache-2.0
// Reads bytes of a model file from front to back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "tensor/tensor.h"

namespace upres {

/// A position in bytes that live elsewhere and longer. Numbers are little-endian, as the machines
/// we run on. Whatever lies beyond the end is an Error{model} that names `what` is read.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string_view what) : bytes_(bytes), what_(what) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  /// The next `count` bytes.
  std::span<const std::byte> take(uint64_t count) {
    if (count > remaining()) {
      fail(ErrorCode::model, "{} is cut short: {} bytes wanted at byte {} of {}", what_, count,
           position_, bytes_.size());
    }
    const auto taken = bytes_.subspan(position_, size_t(count));
    position_ += size_t(count);
    return taken;
  }

  template <typename T>
  T read() {
    static_assert(std::is_arithmetic_v<T>);
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view text(uint64_t count) {
    const auto bytes = take(count);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  /// The text up to the next line feed, which is passed over.
  std::string_view line() {
    const auto rest = bytes_.subspan(position_);
    const auto end = std::find(rest.begin(), rest.end(), std::byte{'\n'});
    const std::string_view line = text(uint64_t(end - rest.begin()));
    take(1);
    return line;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view what_;
  size_t position_ = 0;
};

/// Copies the next elements. The caller has checked that `shape` has a number of elements.
inline Tensor read_tensor(Cursor& in, DType dtype, const Shape& shape) {
  const auto bytes = in.take(uint64_t(element_count(shape).value_or(0)) * size_bytes(dtype));
  Buffer buffer(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return Tensor(dtype, shape, std::move(buffer));
}

}  // namespace upres
