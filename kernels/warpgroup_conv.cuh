// The main loop that the convolutions by Hopper's warpgroup products share; tensor_layout.h describes its tiles.
//
//   block      128 threads = a warpgroup; 16 x 8 positions x 128 channels, as one product for the 64 even positions of
//              its eight image rows, and one for the odd ones
//   warp       two image rows: rows g and g+8 of its 16 of a product. So the sums of one thread hold whole pooling
//              windows: acc[odd][4n + 2r + e] is of position 2g + odd of row r, column 8n + 2t + e
//
// Both matrices are read from shared memory, where a tap is but another address (WarpgroupTile). The patch is copied by
// all threads, for its border is zeros; a stage of weights by one thread as one bulk copy. The products of a stage are
// waited for during the next one, so its slot, and the patch after a slab's last tap, are free after the barrier of the
// one after that: a ring of four stages, one for each tap, two of them on their way.
#pragma once

#include "kernels/tensor_conv.cuh"
#include "kernels/warpgroup.cuh"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kSlots = ConvTile::kTaps;
inline constexpr int kStagesAhead = kSlots - 2;  // stages on their way

struct WarpgroupBuffers {
  Shared<Chunk, 2, WarpgroupTile::kPatchChunks> patches;
  Shared<Chunk, kSlots, ConvTile::kStageChunks> ring;
  Shared<Barrier, kSlots> arrived;
};

/// Copies a tile's patch, a slab at a time: of every 32 positions a chunk a thread.
template <typename T>
class WarpgroupPatchCopy {
 public:
  __device__ __forceinline__ explicit WarpgroupPatchCopy(const TileInput<T>& in)
      : from_(in.image + (static_cast<std::int64_t>(in.y) * in.w + in.x) * in.ic +
              thread_index() % ConvTile::kSlabChunks * kPerChunk<T>),
        w_(in.w),
        ic_(in.ic),
        rows_(in.h - in.y),
        columns_(in.w - in.x) {}

  // Where a position lies is computed anew for every slab: the sums leave few registers.
  template <typename Patch>
  __device__ __forceinline__ void copy(Patch& patch, int slab) const {
    const int chunk = thread_index() % ConvTile::kSlabChunks, first = thread_index() / ConvTile::kSlabChunks;
    UNROLL
    for (int i = 0; i < kCopies; ++i) {
      const int p = first + i * kStride, y = p / ConvTile::kPatchWidth, at = p % ConvTile::kPatchWidth;
      if (p >= WarpgroupTile::kPositions) break;
      constexpr int kOdd = WarpgroupTile::kOddPositions;
      const int x = at < kOdd ? 2 * at : 2 * (at - kOdd) + 1;
      copy_async(&patch[chunk * WarpgroupTile::kPatchPlane + p], from_ + (y * w_ + x) * ic_ + slab * kSlab<T>,
                 y < rows_ && x < columns_);
    }
  }

 private:
  static constexpr int kStride = kWarpgroup / ConvTile::kSlabChunks;  // positions from copy to copy
  static constexpr int kCopies = (WarpgroupTile::kPositions + kStride - 1) / kStride;

  const T* from_;                // the thread's chunk of the patch's first position
  int w_, ic_, rows_, columns_;  // of the image; from the patch's first position to its end
};

/// The stages of the weights, on their way into the ring: one after the other in memory, of the convolution and, where
/// there are tail stages, so many half as long ones after every so many. Filled by thread 0.
template <int kTailStages = 0>
class BulkStream {
 public:
  __device__ __forceinline__ BulkStream(WarpgroupBuffers& buffers, const Chunk* from, int convolution_stages,
                                        int groups)
      : buffers_(buffers),
        from_(from),
        convolution_(convolution_stages),
        left_((convolution_stages + kTailStages) * groups) {}

  /// The barriers are then ready, the first stages on their way. Before a barrier of the block.
  __device__ __forceinline__ void start() {
    if (thread_index() > 0) return;
    for (int slot = 0; slot < kSlots; ++slot) init_barrier(buffers_.arrived[slot]);
    fence_async_proxy();
    for (int slot = 0; slot < kStagesAhead; ++slot) copy_next(slot);
  }
  /// By all threads, after the barrier that frees the slot.
  __device__ __forceinline__ void copy_next(int slot) {
    if (thread_index() > 0 || left_ == 0) return;
    --left_;
    int chunks = ConvTile::kStageChunks;
    if constexpr (kTailStages > 0) {
      if (at_ >= convolution_) chunks /= 2;
      if (++at_ == convolution_ + kTailStages) at_ = 0;
    }
    expect_bytes(buffers_.arrived[slot], static_cast<unsigned>(chunks) * sizeof(Chunk));
    copy_bulk(&buffers_.ring[slot][0], from_, static_cast<unsigned>(chunks) * sizeof(Chunk), buffers_.arrived[slot]);
    from_ += chunks;
  }

 private:
  WarpgroupBuffers& buffers_;
  const Chunk* from_;
  int convolution_, left_, at_ = 0;
};

/// Where a product's positions lie in the patch, in chunks: those of parity `odd`, moved by the tap.
__device__ __forceinline__ constexpr int of_tap(int tap, int odd) {
  const int x = odd + tap % 2;
  return tap / 2 * ConvTile::kPatchWidth + (x == 1 ? WarpgroupTile::kOddPositions : x / 2);
}

/// acc += the convolution of a slab. The slab's patch, number `patch`, is on its way, and afterwards that of
/// `next_slab` is; none if negative. turn: of the ring.
template <typename T, typename Stream>
__device__ __forceinline__ void multiply_slab(float (&acc)[2][kProductColumns / 2], WarpgroupBuffers& buffers,
                                              const WarpgroupPatchCopy<T>& copy, Stream& stream, int patch, int turn,
                                              int next_slab) {
  const Matrix rows = matrix(&buffers.patches[patch & 1][0], WarpgroupTile::kPatchPlane, ConvTile::kPatchWidth);
  UNROLL
  for (int tap = 0; tap < ConvTile::kTaps; ++tap) {
    if (tap == 0) {
      wait_copies<0>();
      fence_async_proxy();
    }
    wait_barrier(buffers.arrived[tap], turn & 1);
    sync_block();
    stream.copy_next((tap + kStagesAhead) % kSlots);
    if (tap == 1 && next_slab >= 0) {
      copy.copy(buffers.patches[(patch + 1) & 1], next_slab);
      commit_copies();
    }
    const Matrix columns = matrix(&buffers.ring[tap][0], ConvTile::kColumns, 8);
    begin_products();
    UNROLL
    for (int k = 0; k < ConvTile::kSlabChunks; k += 2) {
      UNROLL
      for (int odd = 0; odd < 2; ++odd) {
        multiply_async<T>(acc[odd], rows + (of_tap(tap, odd) + k * WarpgroupTile::kPatchPlane),
                          columns + k * ConvTile::kColumns);
      }
    }
    commit_products();
    wait_products<1>(acc[0], acc[1]);
  }
}

}  // namespace lfm::kernels::inline LFM_TARGET
