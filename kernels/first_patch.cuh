// What a pooled output of the first block sees: 3x3 residuals, of which the constant zeros are left out. Shared by
// first_block.cu and first_block_tensor.cu.
#pragma once

#include "kernels/residual.cuh"
#include "kernels/tensor_core.cuh"

namespace lfm::kernels::inline LFM_TARGET {

// The values of a 3x3 patch that are kept: all nine, or the five that are not always zero.
template <typename Residual>
struct Patch {
  static constexpr bool kCornersAreZero =
      Residual::is_zero(0, 0) && Residual::is_zero(0, 2) && Residual::is_zero(2, 0) && Residual::is_zero(2, 2);
  static constexpr int kSlots = kCornersAreZero ? 5 : 9;
  static constexpr int kQuarters = (kSlots * 3 + 3) / 4;  // of 4 floats
  static constexpr int kFloats = 4 * kQuarters;

  // Slot of the residual at (y, x), or -1 where it is zero.
  static __device__ constexpr int slot_of(int y, int x) {
    return Residual::is_zero(y, x) ? -1 : !kCornersAreZero ? 3 * y + x : y == 0 ? 0 : y == 1 ? 1 + x : 4;
  }
  // Where quarter q of output i's row lies in it.
  static __device__ __forceinline__ int quarter(int q, int i) { return (kQuarters % 2 ? q : q ^ (i >> 1 & 3)) * 4; }
};

// The residuals of one pooled output, slot-major. corner: its patch's first pixel; stride: values of an image row.
template <typename Residual>
__device__ __forceinline__ void residuals(float (&r)[Patch<Residual>::kFloats],
                                          const typename Residual::Source* __restrict__ corner, int stride) {
  UNROLL
  for (int y = 0; y < 3; ++y) {
    UNROLL
    for (int x = 0; x < 3; ++x) {
      const int slot = Patch<Residual>::slot_of(y, x);
      if (slot < 0) continue;
      UNROLL
      for (int c = 0; c < 3; ++c) {
        const auto pixel = [&](int row, int column) { return +corner[row * stride + column * 3 + c]; };
        r[slot * 3 + c] = Residual::at(pixel, y, x);
      }
    }
  }
  r[Patch<Residual>::kFloats - 1] = 0.0f;
}

}  // namespace lfm::kernels::inline LFM_TARGET
