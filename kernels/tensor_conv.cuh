// The main loop that the tensor-core convolutions share; tensor_layout.h describes its tiles.
//
//   block  128 threads = 4 warps; 16 x 8 positions x 128 channels
//   warp   kTilesM image rows of 16 positions x 8*kTilesN channels, as kTilesM x kTilesN mma
//          Rows 0-7 of an mma are the even positions of its image row, rows 8-15 the odd ones: a thread's sums hold
//          positions 2g and 2g+1 of each of its image rows.
//   shared two patches, so that the next slab arrives while one is multiplied, and a ring of three stages of weights,
//   two of them on their
//          way. One barrier a stage: it makes the stage that has arrived visible, and frees the one that was multiplied
//          before it.
//
// Every input value crosses from L2 once per block and slab (1.2 times, with the border) and serves four taps; weights
// cross once per block. All copies are 16 bytes; four lanes copy a position's 64 bytes, and eight meet eight different
// parts of a line in shared memory. Sums are kept in FP32 by one thread in a fixed order: the same bits in every run.
#pragma once

#include "kernels/launch.h"
#include "kernels/tensor_core.cuh"
#include "kernels/tensor_layout.h"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kTensorThreads = 128;
inline constexpr int kStages = 3;

/// Channels of a slab.
template <typename T>
inline constexpr int kSlab = ConvTile::kSlabBytes / static_cast<int>(sizeof(T));

/// The image a block works on and its tile's first position.
template <typename T>
struct TileInput {
  const T* image;  ///< [h][w][ic]
  int h, w, ic;
  int y, x;
};

/// Copies one slab of the tile's patch; positions beyond the image are zeros.
template <typename T, typename Patch>
__device__ __forceinline__ void copy_patch(Patch& patch, const TileInput<T>& in, int slab) {
  ROLLED
  for (int i = thread_index(); i < ConvTile::kPatchChunks; i += kTensorThreads) {
    // Eight lanes take positions p and p+2, which share a line.
    const int p = i / 16 * 4 + (i / 8 & 1) + (i / 4 & 1) * 2, chunk = i % 4;
    const int y = in.y + p / ConvTile::kPatchWidth, x = in.x + p % ConvTile::kPatchWidth;
    const bool inside = p < ConvTile::kPatchWidth * ConvTile::kPatchHeight && y < in.h && x < in.w;
    const std::int64_t at =
        inside ? (static_cast<std::int64_t>(y) * in.w + x) * in.ic + slab * kSlab<T> + chunk * kPerChunk<T> : 0;
    copy_async(&patch[patch_chunk(p, chunk)], in.image + at, inside);
  }
}

/// The order in which a ring's stages are filled and multiplied: one is multiplied while the next two arrive.
class RingSlots {
 public:
  /// The slot to copy the next stage into: the one after the last.
  __device__ __forceinline__ int fill() {
    const int slot = into_;
    into_ = into_ + 1 == kStages ? 0 : into_ + 1;
    return slot;
  }

  /// Waits for the oldest stage and returns its slot. Everything issued before its group has arrived too, and all
  /// threads have done with what they multiplied before.
  __device__ __forceinline__ int arrive() {
    wait_copies<kStages - 2>();
    sync_block();
    const int slot = from_;
    from_ = from_ + 1 == kStages ? 0 : from_ + 1;
    return slot;
  }

 private:
  int into_ = 0;
  int from_ = 0;
};

/// The stages of the weights, on their way into a ring.
template <typename Ring, int kChunks = ConvTile::kStageChunks>
class WeightStream {
 public:
  /// stages: consecutive in memory, of kChunks each.
  __device__ __forceinline__ WeightStream(Ring& ring, const void* weight, int stages)
      : ring_(ring), next_(static_cast<const Chunk*>(weight) + thread_index()), left_(stages) {}

  /// Starts the copy of the next stage. The caller closes the group.
  __device__ __forceinline__ void copy_next() {
    const int slot = slots_.fill();
    if (left_ == 0) return;
    UNROLL
    for (int i = 0; i < kChunks; i += kTensorThreads) {
      copy_async(&ring_[slot][i + thread_index()], next_ + i, true);
    }
    next_ += kChunks;
    --left_;
  }

  __device__ __forceinline__ int arrive() { return slots_.arrive(); }

 private:
  Ring& ring_;
  const Chunk* next_;
  int left_;
  RingSlots slots_;
};

/// acc += the patch, moved by the tap, times the stage. first_row: the warp's first image row of the tile;
/// first_column: of the stage. Unrolled where registers allow it.
template <typename T, bool kUnrolled, int kTilesM, int kTilesN, typename Patch, typename Stage>
__device__ __forceinline__ void multiply_stage(float (&acc)[kTilesM][kTilesN][4], Patch& patch, Stage& stage, int tap,
                                               int first_row, int first_column) {
  const int lane = lane_index();
  const int row_x = 2 * (lane % 8) + lane / 8 % 2, row_chunk = lane / 16;  // of the row of A that this lane names
  const int column = first_column + lane % 8 + lane / 16 * 8, column_chunk = lane / 8 % 2;
  const int b_at = weight_chunk(column, column_chunk);
  int a_at[kTilesM];
  UNROLL
  for (int m = 0; m < kTilesM; ++m) {
    a_at[m] = patch_chunk((first_row + m + tap / 2) * ConvTile::kPatchWidth + row_x + tap % 2, row_chunk);
  }
  const auto step = [&](int k) {
    std::uint32_t a[kTilesM][4];
    UNROLL
    for (int m = 0; m < kTilesM; ++m) ldmatrix(a[m], &patch[a_at[m] ^ k]);
    UNROLL
    for (int n = 0; n < kTilesN; n += 2) {
      std::uint32_t b[4];
      ldmatrix(b, &stage[(b_at ^ k) + n * 8 * ConvTile::kSlabChunks]);
      UNROLL
      for (int m = 0; m < kTilesM; ++m) {
        mma<T>(acc[m][n], a[m], b[0], b[1]);
        mma<T>(acc[m][n + 1], a[m], b[2], b[3]);
      }
    }
  };
  if constexpr (kUnrolled) {  // an mma is two chunks deep
    UNROLL
    for (int k = 0; k < ConvTile::kSlabChunks; k += 2) step(k);
  } else {
    ROLLED
    for (int k = 0; k < ConvTile::kSlabChunks; k += 2) step(k);
  }
}

template <int kTilesM, int kTilesN>
__device__ __forceinline__ void zero(float (&acc)[kTilesM][kTilesN][4]) {
  UNROLL
  for (int m = 0; m < kTilesM; ++m) {
    UNROLL
    for (int n = 0; n < kTilesN; ++n) {
      UNROLL
      for (int i = 0; i < 4; ++i) acc[m][n][i] = 0.0f;
    }
  }
}

/// acc += the convolution of the tile with the channels whose weights come next in the stream. `patches` counts the
/// patches multiplied so far; the patch numbered so is in shared memory or on its way, and so is, afterwards, the next
/// one: the first slab again, unless `last`.
template <typename T, bool kUnrolled, int kTilesM, int kTilesN, typename Patches, typename Ring, typename Weights>
__device__ __forceinline__ void convolve_tile(float (&acc)[kTilesM][kTilesN][4], Patches& patches, Ring& ring,
                                              Weights& weights, const TileInput<T>& in, int& patch, bool last,
                                              int first_row, int first_column) {
  const int slabs = in.ic / kSlab<T>;
  for (int slab = 0; slab < slabs; ++slab, ++patch) {
    ROLLED
    for (int tap = 0; tap < ConvTile::kTaps; ++tap) {
      const int slot = weights.arrive();
      weights.copy_next();
      if (tap == 0 && !(last && slab + 1 == slabs))
        copy_patch(patches[(patch + 1) & 1], in, slab + 1 == slabs ? 0 : slab + 1);
      commit_copies();
      multiply_stage<T, kUnrolled>(acc, patches[patch & 1], ring[slot], tap, first_row, first_column);
    }
  }
}

/// Starts the stream: the first patch and the first two stages.
template <typename T, typename Patches, typename Weights>
__device__ __forceinline__ void start_copies(Patches& patches, Weights& weights, const TileInput<T>& in) {
  copy_patch(patches[0], in, 0);
  UNROLL
  for (int i = 0; i < kStages - 1; ++i) {
    weights.copy_next();
    commit_copies();
  }
}

/// Of the tile's number in the grid: image, then row and column of tiles.
template <typename T>
__device__ __forceinline__ TileInput<T> tile_input(const T* input, int tile, int tiles_y, int tiles_x, int h, int w,
                                                   int ic) {
  const int image = tile / (tiles_y * tiles_x);
  return {input + static_cast<std::int64_t>(image) * h * w * ic,
          h,
          w,
          ic,
          tile / tiles_x % tiles_y * ConvTile::kHeight,
          tile % tiles_x * ConvTile::kWidth};
}

}  // namespace lfm::kernels::inline LFM_TARGET
