// SPDX-License-Identifier: Apache-2.0
// The element types that model files hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace upres {

enum class DType : uint8_t { f16, bf16, f32, f64, u8, i8, i16, i32, i64, boolean };

/// Bytes of one element.
size_t size_bytes(DType dtype);

/// "float16", "bfloat16", "float32", …: the names PyTorch and NumPy use.
std::string_view name(DType dtype);

}  // namespace upres
