// BF16: FP32 without its lower 16 bits. Storage is counted in floats throughout the engine; a float's place keeps two
// BF16 values, the first in its lower half.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace lfm::cpu {

/// To nearest, ties to even; NaN stays NaN.
inline std::uint16_t to_bf16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

inline float from_bf16(std::uint16_t value) { return std::bit_cast<float>(std::uint32_t{value} << 16); }

/// Both rounded, as they share a float's place.
inline float bf16_pair(float first, float second) {
  return std::bit_cast<float>(std::uint32_t{to_bf16(first)} | std::uint32_t{to_bf16(second)} << 16);
}

/// Value i of those that are kept at p.
inline float stored_bf16(const float* p, std::size_t i) {
  std::uint16_t value;
  std::memcpy(&value, reinterpret_cast<const unsigned char*>(p) + 2 * i, sizeof value);
  return from_bf16(value);
}

}  // namespace lfm::cpu
