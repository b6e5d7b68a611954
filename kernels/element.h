// The formats of what tensor cores multiply, on the host and in kernels. Products are exact in FP32, sums are kept in
// FP32.
//   Half      FP16: 11 bits of significand, largest value 65504     Bfloat16: 8 bits, the range of FP32
//   Tf32      FP32 with 11 bits of significand, in 32-bit words
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace lfm::kernels {

struct Half {
  std::uint16_t bits;
};
struct Bfloat16 {
  std::uint16_t bits;
};
struct Tf32 {
  std::uint32_t bits;
};

/// Half the distance from 1 to the next value: the largest relative error of rounding to nearest.
template <typename T>
inline constexpr double kUnitRoundoff = 0x1p-11;
template <>
inline constexpr double kUnitRoundoff<Bfloat16> = 0x1p-8;

/// Elements of a 32-bit word, which is what a thread's fragment holds, and of the 16 bytes that are copied at a time.
template <typename T>
inline constexpr int kPerWord = 4 / static_cast<int>(sizeof(T));
template <typename T>
inline constexpr int kPerChunk = 16 / static_cast<int>(sizeof(T));

/// What training stores beside what it multiplies in T: the output of a convolution of T before batch norm, and the
/// gradient of its input before that of batch norm. BF16, as mixed precision has it, else FP32.
template <typename T>
using Stored = std::conditional_t<std::is_same_v<T, Bfloat16>, Bfloat16, float>;

// Host conversions; those of kernels are in tensor_core.cuh and give the same bits. To nearest: ties to even, TF32's
// away from zero, as the hardware does. NaN stays NaN, what is too large becomes infinite.

template <typename T>
T round_to(float value);

template <>
inline Half round_to<Half>(float value) {
  const std::uint32_t all = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = all >> 16 & 0x8000u;
  std::uint32_t bits = all & 0x7fffffffu;
  if (bits > 0x7f800000u) {
    bits = 0x7e00u;
  } else if (bits >= 0x47800000u) {  // 65536 and more
    bits = 0x7c00u;
  } else if (bits < 0x38800000u) {  // subnormal: one unit in the last place of 0.5 is the smallest subnormal
    bits = std::bit_cast<std::uint32_t>(std::bit_cast<float>(bits) + 0.5f) - 0x3f000000u;
  } else {
    bits = (bits + 0xfffu + (bits >> 13 & 1u) - 0x38000000u) >> 13;
  }
  return {static_cast<std::uint16_t>(sign | bits)};
}

template <>
inline Bfloat16 round_to<Bfloat16>(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if (value != value) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}

template <>
inline Tf32 round_to<Tf32>(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return {(bits & 0xffffe000u) | (value != value ? 0x00400000u : 0u)};
  return {(bits + 0x1000u) & 0xffffe000u};
}

inline float to_float(Half value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits & 0x7fffu) << 13;
  const float magnitude =
      std::bit_cast<float>(bits) * 0x1p112f;  // the exponents' biases differ by 112; right for subnormals too
  return std::bit_cast<float>(sign |
                              (bits >= 0x0f800000u ? bits | 0x7f800000u : std::bit_cast<std::uint32_t>(magnitude)));
}

inline float to_float(Bfloat16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16); }

inline float to_float(Tf32 value) { return std::bit_cast<float>(value.bits); }

}  // namespace lfm::kernels
