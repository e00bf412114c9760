// SPDX-License-Identifier: Apache-2.0
// Bit conversions between float and the two 16-bit floating point formats.
#pragma once

#include <bit>
#include <cstdint>

namespace upres {

/// IEEE 754 binary16 to float; exact for every bit pattern, NaN payloads kept.
inline float f16_to_f32(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000) << 16;
  const uint32_t exponent = (h >> 10) & 0x1f;
  const uint32_t mantissa = h & 0x3ff;
  if (exponent == 0) {  // zero or subnormal: mantissa x 2^-24 is exact in float
    const float magnitude = float(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t bits =
      exponent == 31 ? 0x7f800000 | mantissa << 13 : (exponent + 112) << 23 | mantissa << 13;
  return std::bit_cast<float>(bits | sign);
}

/// bfloat16 to float; exact.
inline float bf16_to_f32(uint16_t h) {
  return std::bit_cast<float>(uint32_t(h) << 16);
}

/// Float to IEEE 754 binary16, rounded to nearest even; too large becomes infinity.
inline uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = uint16_t((bits >> 16) & 0x8000);
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;   // NaN
  if (magnitude >= 0x477ff000) return sign | 0x7c00;  // rounds to 65520 or more: infinity
  if (magnitude < 0x38800000) {  // below 2^-14: let the float adder round at the subnormal's unit
    const float shifted = std::bit_cast<float>(magnitude) + 0x1p-1f;
    return sign | uint16_t(std::bit_cast<uint32_t>(shifted) - 0x3f000000);
  }
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return sign | uint16_t((rounded - 0x38000000) >> 13);
}

}  // namespace upres
