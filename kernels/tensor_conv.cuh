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

/// Copies a tile's patch, a slab at a time. Where a thread's chunks come from and go to is the same for every slab, and
/// computed once: where the first is, and a bit of each that tells how the next one is reached, and whether it is in
/// the image. Positions beyond it are zeros; where they would lie is not read.
template <typename T>
class PatchCopy {
 public:
  __device__ __forceinline__ explicit PatchCopy(const TileInput<T>& in) : w_(in.w), ic_(in.ic) {
    const unsigned thread = static_cast<unsigned>(thread_index()), chunk = thread % ConvTile::kSlabChunks;
    // Eight lanes take positions p and p+2, which share a line.
    const unsigned first = thread / 16 * 4 + (thread / 8 & 1) + (thread / 4 & 1) * 2;
    to_ = patch_chunk(static_cast<int>(first), static_cast<int>(chunk));
    from_ = in.image + (static_cast<std::int64_t>(in.y + row(first)) * in.w + in.x + column(first)) * in.ic +
            static_cast<int>(chunk) * kPerChunk<T>;
    UNROLL
    for (unsigned i = 0; i < kCopies; ++i) {
      const unsigned p = first + i * kStride;
      const bool inside =
          p < ConvTile::kPatchWidth * ConvTile::kPatchHeight && in.y + row(p) < in.h && in.x + column(p) < in.w;
      bits_ |= (inside ? 1u : 0u) << i;
      bits_ |= (column(p) + kColumns < ConvTile::kPatchWidth ? 1u : 0u) << (kCopies + i);
    }
  }

  template <typename Patch>
  __device__ __forceinline__ void copy(Patch& patch, int slab) const {
    const int further = (kRows * w_ + kColumns) * ic_, next_row = further + (w_ - ConvTile::kPatchWidth) * ic_;
    const T* from = from_ + slab * kSlab<T>;
    UNROLL_COPIES
    for (int i = 0; i < kCopies; ++i) {
      if (i * kTensorThreads + thread_index() >= ConvTile::kPatchChunks) break;
      copy_async(&patch[to_ + i * kTensorThreads], from, (bits_ >> i & 1) != 0);
      from += (bits_ >> (kCopies + i) & 1) != 0 ? further : next_row;
    }
  }

 private:
  // From a thread's chunk to its next: positions, and as rows and columns of the patch. The next lies a whole number of
  // lines further in shared memory.
  static constexpr int kStride = kTensorThreads / ConvTile::kSlabChunks;
  static constexpr int kRows = kStride / ConvTile::kPatchWidth, kColumns = kStride % ConvTile::kPatchWidth;
  static constexpr int kCopies = (ConvTile::kPatchChunks + kTensorThreads - 1) / kTensorThreads;

  __device__ __forceinline__ static int row(unsigned p) { return static_cast<int>(p / ConvTile::kPatchWidth); }
  __device__ __forceinline__ static int column(unsigned p) { return static_cast<int>(p % ConvTile::kPatchWidth); }

  const T* from_;
  int to_;
  unsigned bits_ = 0;  // of each chunk, whether it is in the image; then, whether the next is in the next row but none
  int w_, ic_;
};

/// The order in which a ring's stages are filled and multiplied: one is multiplied while the next two arrive. Where the
/// loop over stages is unrolled, turning the ring takes no instructions.
class RingSlots {
 public:
  /// The slot to copy the next stage into, after arrive(): that of the stage multiplied last. The first two stages go
  /// into slots 0 and 1.
  __device__ __forceinline__ int fill() const { return slot_[kStages - 2]; }

  /// Waits for the oldest stage and returns its slot. Everything issued before its group has arrived too, and all
  /// threads have done with what they multiplied before.
  __device__ __forceinline__ int arrive() {
    wait_copies<kStages - 2>();
    sync_block();
    const int slot = slot_[0];
    UNROLL
    for (int i = 0; i + 1 < kStages; ++i) slot_[i] = slot_[i + 1];
    slot_[kStages - 1] = slot;
    return slot;
  }

 private:
  int slot_[kStages] = {0, 1, 2};  // the oldest stage's first
};
static_assert(kStages == 3);

/// The stages of the weights, on their way into a ring.
template <typename Ring, int kChunks = ConvTile::kStageChunks, int kDistance = kChunks>
class WeightStream {
 public:
  /// stages: of kChunks each, which begin kDistance apart in memory.
  __device__ __forceinline__ WeightStream(Ring& ring, const void* weight, int stages)
      : ring_(ring), weight_(static_cast<const Chunk*>(weight)), at_(thread_index()), end_(stages * kDistance) {}

  /// Starts the copy of the next stage, one of the first two into its slot, and later ones, after arrive(), into that
  /// of the stage multiplied last. The caller closes the group.
  __device__ __forceinline__ void copy_next() { copy_into(slots_.fill()); }
  __device__ __forceinline__ void copy_into(int slot) {
    if (at_ >= end_) return;
    UNROLL_COPIES
    for (int i = 0; i < kChunks; i += kTensorThreads) {
      copy_async(&ring_[slot][i + thread_index()], weight_ + at_ + i, true);
    }
    at_ += kDistance;
  }

  __device__ __forceinline__ int arrive() { return slots_.arrive(); }

 private:
  Ring& ring_;
  const Chunk* weight_;
  int at_, end_;  // this thread's first chunk of the next stage, and where the stages end
  RingSlots slots_;
};

/// Where the rows of the fragments lie that a lane names, in bytes of shared memory, for both of a slab's steps:
/// computed once. An image row further in the patch is 17 positions further, of which 16 are a constant distance
/// whatever the permutation; so there is an offset for each row + tap's x, and the constant goes into the instruction.
template <int kTilesM>
class FragmentPlaces {
 public:
  /// first_row: the warp's first image row of the tile; first_column: of the stage.
  __device__ __forceinline__ FragmentPlaces(int first_row, int first_column) {
    const unsigned lane = static_cast<unsigned>(lane_index());
    const unsigned row_x = 2 * (lane % 8) + lane / 8 % 2, row_chunk = lane / 16;  // of the row of A
    const unsigned column = lane % 8 + lane / 16 * 8, column_chunk = lane / 8 % 2;
    UNROLL
    for (int i = 0; i < kTilesM + 2; ++i) {
      const int p = first_row * ConvTile::kPatchWidth + static_cast<int>(row_x) + i;
      patch_[i] = bytes(patch_chunk(p, static_cast<int>(row_chunk)));
    }
    stage_ = bytes(weight_chunk(first_column + static_cast<int>(column), static_cast<int>(column_chunk)));
  }

  /// Of the patch: image row `row` of the warp's, moved to the right by x. k: the step's first chunk.
  __device__ __forceinline__ unsigned of_patch(int row, int x, int k) const {
    return (patch_[row + x] ^ bytes(k)) + bytes(row * ConvTile::kWidth * ConvTile::kSlabChunks);
  }
  /// Of the stage: columns from the n-th mma on.
  __device__ __forceinline__ unsigned of_stage(int n, int k) const {
    return (stage_ ^ bytes(k)) + bytes(n * 8 * ConvTile::kSlabChunks);
  }

 private:
  __device__ __forceinline__ static unsigned bytes(int chunks) { return 16 * static_cast<unsigned>(chunks); }

  unsigned patch_[kTilesM + 2];  // by row + x
  unsigned stage_;
};

/// acc += the patch, moved by the tap, times the stage. Unrolled where registers allow it.
template <typename T, bool kUnrolled, int kTilesM, int kTilesN, typename Patch, typename Stage>
__device__ __forceinline__ void multiply_stage(float (&acc)[kTilesM][kTilesN][4], Patch& patch, Stage& stage, int tap,
                                               const FragmentPlaces<kTilesM>& places) {
  const auto step = [&](int k) {
    std::uint32_t a[kTilesM][4];
    UNROLL
    for (int m = 0; m < kTilesM; ++m) ldmatrix(a[m], chunk_at(patch, places.of_patch(m + tap / 2, tap % 2, k)));
    UNROLL
    for (int n = 0; n < kTilesN; n += 2) {
      std::uint32_t b[4];
      ldmatrix(b, chunk_at(stage, places.of_stage(n, k)));
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

/// acc += the convolution of the tile with the channels whose weights come next in the stream, over so many slabs.
/// `patch` counts the patches multiplied so far; the patch numbered so is in shared memory or on its way, and so is,
/// afterwards, the next one: the first slab again, unless `last`. The four taps are unrolled, so that each reads its
/// fragments at places known beforehand.
template <typename T, bool kUnrolled, int kTilesM, int kTilesN, typename Patches, typename Ring, typename Weights>
__device__ __forceinline__ void convolve_tile(float (&acc)[kTilesM][kTilesN][4], Patches& patches, Ring& ring,
                                              Weights& weights, const PatchCopy<T>& copy, int slabs, int& patch,
                                              bool last, const FragmentPlaces<kTilesM>& places) {
  for (int slab = 0; slab < slabs; ++slab, ++patch) {
    UNROLL
    for (int tap = 0; tap < ConvTile::kTaps; ++tap) {
      const int slot = weights.arrive();
      weights.copy_next();
      if (tap == 0 && !(last && slab + 1 == slabs))
        copy.copy(patches[(patch + 1) & 1], slab + 1 == slabs ? 0 : slab + 1);
      commit_copies();
      multiply_stage<T, kUnrolled>(acc, patches[patch & 1], ring[slot], tap, places);
    }
  }
}

/// Starts the stream: the first patch and the first two stages.
template <typename T, typename Patches, typename Weights>
__device__ __forceinline__ void start_copies(Patches& patches, Weights& weights, const PatchCopy<T>& copy) {
  copy.copy(patches[0], 0);
  UNROLL
  for (int i = 0; i < kStages - 1; ++i) {
    weights.copy_into(i);
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
