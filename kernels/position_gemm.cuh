// The main loop of the weights' gradients: C[m][o] = sum over positions p of A[p][m] B[p][o], one tile of C over one
// slice of positions.
//   A is the layer's input and B the gradient of its output, both with channels innermost, so both slabs come as they
//   lie in memory.
//
//   tile   128 rows (m) x kColumns, owned by 256 threads as implicit_gemm.cuh describes
//   shared a slab of 8 positions of A and of B, double-buffered, one barrier a slab; stored 128 bits at a time by
//   consecutive lanes and
//          read as in implicit_gemm.cuh: no conflicts
// Positions are never divided into rows and columns on the way: each thread walks along them by steps of 8.
// One thread takes the sum over its slice in order, and sum_partials() adds the slices in order: the same bits in every
// run.
#pragma once

#include "kernels/implicit_gemm.cuh"

namespace lfm::kernels::inline LFM_TARGET {

/// Positions [n][h][w] inside an array [n][pitch_h][pitch_w][channels], one of whose channels `at` points to.
class PositionCursor {
 public:
  __device__ __forceinline__ PositionCursor(const float* origin, int first, int h, int w, int pitch_h, int pitch_w,
                                            int channels)
      : x_(first % w),
        y_(first / w % h),
        h_(h),
        w_(w),
        channels_(channels),
        row_gap_((pitch_w - w) * channels),
        image_gap_((pitch_h - h) * pitch_w * channels),
        at_(origin + ((static_cast<std::int64_t>(first / w / h) * pitch_h + y_) * pitch_w + x_) * channels) {}

  __device__ __forceinline__ float4 load() const { return load4(at_); }
  __device__ __forceinline__ void advance(int positions) {
    x_ += positions;
    at_ += positions * channels_;
    while (x_ >= w_) {
      x_ -= w_;
      at_ += row_gap_;
      if (++y_ == h_) {
        y_ = 0;
        at_ += image_gap_;
      }
    }
  }

 private:
  int x_, y_, h_, w_, channels_, row_gap_, image_gap_;
  const float* at_;
};

/// Positions [..][channels] that lie side by side, from `first` on.
class FlatCursor {
 public:
  __device__ __forceinline__ FlatCursor(const float* array, int first, int channel, int channels)
      : channels_(channels), at_(array + std::int64_t{first} * channels + channel) {}
  __device__ __forceinline__ float4 load() const { return load4(at_); }
  __device__ __forceinline__ void advance(int positions) { at_ += positions * channels_; }

 private:
  int channels_;
  const float* at_;
};

/// The position of the slab, and column of its tile, that a thread brings.
template <int kWidth>
__device__ __forceinline__ int slab_position() {
  return thread_index() / (kWidth / 4);
}
template <int kWidth>
__device__ __forceinline__ int slab_column() {
  return thread_index() % (kWidth / 4) * 4;
}

/// a, b: at this thread's slab_position() of the slice and slab_column() of the tile. A cursor load()s the four values
/// there and can advance() by so many positions. positions: of the slice; may be 0.
template <int kColumns, typename CursorA, typename CursorB>
__device__ __forceinline__ void position_gemm(float (&acc)[GemmTile::kThreadRows][kColumns / 16], CursorA a, CursorB b,
                                              int positions) {
  constexpr int kDepth = GemmTile::kDepth;
  SHARED_ARRAY(float, tile_a, 2, kDepth, GemmTile::kRows);
  SHARED_ARRAY(float, tile_b, 2, kDepth, kColumns);
  const GemmPosition<kColumns> own;
  const int position_a = slab_position<GemmTile::kRows>(), column_a = slab_column<GemmTile::kRows>();
  const int position_b = slab_position<kColumns>(), column_b = slab_column<kColumns>();

  UNROLL
  for (int i = 0; i < GemmTile::kThreadRows; ++i) {
    UNROLL
    for (int j = 0; j < kColumns / 16; ++j) acc[i][j] = 0.0f;
  }

  float4 next_a, next_b;
  const auto load = [&](int slab) {
    next_a = next_b = {0.0f, 0.0f, 0.0f, 0.0f};
    if (slab * kDepth + position_a < positions) {
      next_a = a.load();
      a.advance(kDepth);
    }
    if (position_b < kDepth && slab * kDepth + position_b < positions) {
      next_b = b.load();
      b.advance(kDepth);
    }
  };
  const auto store = [&](int buffer) {
    store4(&tile_a[buffer][position_a][column_a], next_a);
    if (position_b < kDepth) store4(&tile_b[buffer][position_b][column_b], next_b);
  };

  const int slabs = (positions + kDepth - 1) / kDepth;
  load(0);
  store(0);
  sync_block();
  for (int slab = 0; slab < slabs; ++slab) {
    const int buffer = slab & 1;
    if (slab + 1 < slabs) load(slab + 1);
    multiply_slab<kColumns>(acc, tile_a[buffer], tile_b[buffer], own);
    if (slab + 1 < slabs) {
      store(buffer ^ 1);  // last read before the barrier that ended the previous slab
      sync_block();
    }
  }
}

}  // namespace lfm::kernels::inline LFM_TARGET
