// What a tile of the stem's convolution sees: residuals in shared memory, and three taps of a row of them times the
// weights of two channels. Shared by stem.cu and stem_conv.cu.
#pragma once

#include "kernels/device.cuh"

namespace lfm::kernels::inline LFM_TARGET {

/// Of a tile of kOutRows x kOutColumns outputs of the convolution, whose windows lie two apart; three channels each.
template <int kOutRows, int kOutColumns>
struct StemPatch {
  static constexpr int kRows = 2 * kOutRows + 1;
  static constexpr int kFloats = (2 * kOutColumns + 1) * 3;
  static constexpr int kPitch = (kFloats + kWarp - 1) / kWarp * kWarp;  // whole warps store a row

  /// A warp a row, `warps` of them: the residuals [h][w][3] of an image from row `top` and column `left` on, zeros
  /// outside. scaled(value, channel): what is stored of them.
  template <typename Array, typename Scaled>
  static __device__ __forceinline__ void stage(Array& patch, const float* image, int top, int left, int h, int w,
                                               int warps, Scaled scaled) {
    for (int row = warp_index(); row < kRows; row += warps) {
      const int y = top + row;
      for (int column = lane_index(); column < kPitch; column += kWarp) {
        const int x = 3 * left + column;
        const bool inside = y >= 0 && y < h && x >= 0 && x < 3 * w && column < kFloats;
        patch[row][column] = inside ? scaled(image[static_cast<std::int64_t>(y) * w * 3 + x], column % 3) : 0.0f;
      }
    }
  }
};

/// Two channels' weights, or sums of as many: [tap row][tap column and input channel].
using StemWeights = float2[3][9];

/// The nine residuals under a row of taps. row: aligned to 8 bytes.
__device__ __forceinline__ void load_taps(float (&v)[9], const float* row) {
  UNROLL
  for (int i = 0; i < 8; i += 2) {
    const float2 two = load2(row + i);
    v[i] = two.x, v[i + 1] = two.y;
  }
  v[8] = row[8];
}

/// acc += the taps of one row.
__device__ __forceinline__ void multiply_row(float2& acc, const float* row, const float2 (&w)[9]) {
  float v[9];
  load_taps(v, row);
  UNROLL
  for (int i = 0; i < 9; ++i) {
    acc.x += v[i] * w[i].x;
    acc.y += v[i] * w[i].y;
  }
}

}  // namespace lfm::kernels::inline LFM_TARGET
