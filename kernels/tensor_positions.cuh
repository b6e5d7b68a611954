// What the weights' gradients on tensor cores share: C[m][o] = sum over positions p of A[p][m] B[p][o], with channels
// innermost in both, so that an mma's depth runs across rows of shared memory.
//
//   stage  the positions whose 128 channels fill 8 KiB: two image rows of 16 positions of halves, one of TF32
//   step   an mma's worth of positions; two a stage. The order of a sum is free, so it is one whose rows lie in
//          different banks, here and in the patch of tensor_conv.cuh:
//            halves   16 positions of an image row, the even ones first. ldmatrix transposes as it loads.
//            TF32     8 of them, 0 2 8 10 4 6 12 14 and in the second step one more each; ldmatrix transposes halves
//                     alone, so lanes load words: four columns at a time, two rows.
// Of a tile of halves, a thread holds rows g and g+8 and columns 2t and 2t+1 as every mma gives them; of TF32, whose
// rows and columns are loaded as they lie, rows 2g and 2g+1 and, of 32 columns that are four mma, 8t ... 8t+7.
#pragma once

#include "kernels/tensor_conv.cuh"

namespace lfm::kernels::inline LFM_TARGET {

/// Image rows of 16 positions, and all positions, of a stage of 128 channels.
template <typename T>
inline constexpr int kStageRows = sizeof(T) == 2 ? 2 : 1;
template <typename T>
inline constexpr int kStagePositions = kStageRows<T>* ConvTile::kWidth;

inline constexpr int kStageSteps = 2;

/// 16-byte chunks of so many channels.
template <typename T>
__device__ constexpr int chunks_of(int channels) {
  return channels / kPerChunk<T>;
}

/// Where chunk `chunk` of position p of a stage lies; a position has kRowChunks of them, a multiple of 8.
template <typename T, int kRowChunks>
__device__ __forceinline__ int position_chunk(int p, int chunk) {
  const int x = p % ConvTile::kWidth;
  return p * kRowChunks + (chunk ^ (sizeof(T) == 2 ? x / 2 : x % 4 / 2 * 2 + x / 8 * 4));
}

/// Starts the copy of a stage; address(p) is that of position p, null for zeros, `any` one that may be read.
template <typename T, int kRowChunks, typename Stage, typename Address>
__device__ __forceinline__ void copy_positions(Stage& stage, const T* any, Address address) {
  UNROLL
  for (int i = 0; i < kStagePositions<T> * kRowChunks; i += kTensorThreads) {
    const int at = i + thread_index(), p = at / kRowChunks, chunk = at % kRowChunks;
    const T* from = address(p);
    copy_async(&stage[position_chunk<T, kRowChunks>(p, chunk)], from ? from + chunk * kPerChunk<T> : any,
               from != nullptr);
  }
}

/// The image row of the stage that a step sums over.
template <typename T>
__device__ constexpr int row_of_step(int step) {
  return sizeof(T) == 2 ? step : 0;
}

/// The position in the image row that this lane brings to A: of halves, names for ldmatrix; of TF32, loads as k = t,
/// and 4 further as t+4.
template <typename T>
__device__ __forceinline__ int left_position(int step) {
  const int lane = lane_index();
  if constexpr (sizeof(T) == 2) return lane % 8 * 2 + lane / 16;
  return lane % 2 * 2 + lane % 4 / 2 * 8 + step;
}

/// The same for B.
template <typename T>
__device__ __forceinline__ int right_position(int step) {
  if constexpr (sizeof(T) == 2) return lane_index() % 8 * 2 + lane_index() / 8 % 2;
  return left_position<T>(step);
}

/// The fragment of 16 rows of A: `at` is where the chunk of this lane's position lies that left_chunk() names, later_at
/// (TF32) that of the position 4 further.
template <typename T>
__device__ __forceinline__ int left_chunk() {
  return sizeof(T) == 2 ? lane_index() / 8 % 2 : lane_index() / 8;
}
template <typename T, typename Rows>
__device__ __forceinline__ void load_left(std::uint32_t (&a)[4], Rows& rows, int at, int later_at) {
  if constexpr (sizeof(T) == 2) {
    ldmatrix_transposed(a, &rows[at]);
  } else {
    const int word = lane_index() / 4 % 2 * 2;
    const float2 now = load2(reinterpret_cast<const float*>(&rows[at].word[word]));
    const float2 later = load2(reinterpret_cast<const float*>(&rows[later_at].word[word]));
    a[0] = float_bits(now.x), a[1] = float_bits(now.y), a[2] = float_bits(later.x), a[3] = float_bits(later.y);
  }
}

/// acc += A^T B for one step: a the fragments of A's rows, B 64 columns of the stage from chunk first_chunk (a multiple
/// of 8) on.
template <typename T, int kRowChunks, int kTilesM, typename Stage>
__device__ __forceinline__ void multiply_positions(float (&acc)[kTilesM][8][4], const std::uint32_t (&a)[kTilesM][4],
                                                   Stage& stage, int first_chunk, int step) {
  const int p = row_of_step<T>(step) * ConvTile::kWidth + right_position<T>(step);
  if constexpr (sizeof(T) == 2) {
    const int at = position_chunk<T, kRowChunks>(p, first_chunk + lane_index() / 16);
    UNROLL
    for (int n = 0; n < 8; n += 2) {
      std::uint32_t b[4];
      ldmatrix_transposed(b, &stage[at ^ n]);
      UNROLL
      for (int m = 0; m < kTilesM; ++m) {
        mma<T>(acc[m][n], a[m], b[0], b[1]);
        mma<T>(acc[m][n + 1], a[m], b[2], b[3]);
      }
    }
  } else {
    UNROLL
    for (int n = 0; n < 8; n += 4) {
      const int chunk = first_chunk + 2 * n + lane_index() / 4;
      const float4 now = load4(reinterpret_cast<const float*>(&stage[position_chunk<T, kRowChunks>(p, chunk)]));
      const float4 later = load4(reinterpret_cast<const float*>(&stage[position_chunk<T, kRowChunks>(p + 4, chunk)]));
      UNROLL
      for (int m = 0; m < kTilesM; ++m) {
        mma<T>(acc[m][n], a[m], float_bits(now.x), float_bits(later.x));
        mma<T>(acc[m][n + 1], a[m], float_bits(now.y), float_bits(later.y));
        mma<T>(acc[m][n + 2], a[m], float_bits(now.z), float_bits(later.z));
        mma<T>(acc[m][n + 3], a[m], float_bits(now.w), float_bits(later.w));
      }
    }
  }
}

/// Stores a tile of 16 rows and 64 columns to c [.][columns], which points at the tile's first element.
template <typename T>
__device__ __forceinline__ void store_tile(float* c, int columns, const float (&acc)[8][4]) {
  const int g = lane_index() / 4, t = lane_index() % 4;
  UNROLL
  for (int i = 0; i < 2; ++i) {
    if constexpr (sizeof(T) == 2) {
      float* row = c + static_cast<std::int64_t>(g + 8 * i) * columns + 2 * t;
      UNROLL
      for (int n = 0; n < 8; ++n) store2(row + 8 * n, {acc[n][2 * i], acc[n][2 * i + 1]});
    } else {
      float* row = c + static_cast<std::int64_t>(2 * g + i) * columns + 8 * t;
      UNROLL
      for (int n = 0; n < 8; n += 4) {
        UNROLL
        for (int j = 0; j < 2; ++j) {
          const int at = 2 * i + j;
          store4(row + 8 * n + 4 * j, {acc[n][at], acc[n + 1][at], acc[n + 2][at], acc[n + 3][at]});
        }
      }
    }
  }
}

}  // namespace lfm::kernels::inline LFM_TARGET
