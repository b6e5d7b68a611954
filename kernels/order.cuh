// The order in which pooling ranks values: as integers, so that every float has its place.
#pragma once

#include "kernels/device.cuh"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr std::uint32_t kSign = 0x80000000u;

/// Order-preserving: a < b as floats exactly if key(a) < key(b). NaN is above infinity, -0 is +0. 0 stands below all
/// keys.
__device__ __forceinline__ std::uint32_t key_of(float v) {
  if (v != v) return 0xffffffffu;
  const std::uint32_t bits = float_bits(v + 0.0f);
  return bits & kSign ? ~bits : bits | kSign;
}

__device__ __forceinline__ float value_of(std::uint32_t key) { return bits_float(key & kSign ? key ^ kSign : ~key); }

}  // namespace lfm::kernels::inline LFM_TARGET
