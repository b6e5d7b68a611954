// C = A B on tensor cores where rows of A and columns of B arrive in a ring of stages, each kSlab<T> of the depth of all
// of the block's rows and columns, as tensor_layout.h lays a stage of weights. Columns in the order of
// channel_of_column leave a thread chunks of channels that are side by side.
#pragma once

#include "kernels/tensor_conv.cuh"

namespace lfm::kernels::inline LFM_TARGET {

/// acc = this warp's part of the block's product: 16*kTilesM rows and 8*kTilesN columns, from `row` and `column` on.
/// left, right: shared arrays [kStages][rows or columns * ConvTile::kSlabChunks]. copy_stage(slot, stage) begins to copy
/// a stage; called once for each, in order.
template <typename T, int kTilesM, int kTilesN, typename Left, typename Right, typename CopyStage>
__device__ __forceinline__ void multiply_ring(float (&acc)[kTilesM][kTilesN][4], Left& left, Right& right, int stages,
                                              int row, int column, CopyStage copy_stage) {
  const int lane = lane_index();
  RingSlots slots;
  int copied = 0;
  const auto copy_into = [&](int slot) {
    if (copied < stages) {
      copy_stage(slot, copied);
      ++copied;
    }
    commit_copies();
  };
  UNROLL
  for (int i = 0; i < kStages - 1; ++i) copy_into(i);

  zero(acc);
  const int a_at = weight_chunk(row + lane % 16, lane / 16);
  const int b_at = weight_chunk(column + lane % 8 + lane / 16 * 8, lane / 8 % 2);
  ROLLED
  for (int stage = 0; stage < stages; ++stage) {
    const int slot = slots.arrive();
    copy_into(slots.fill());
    UNROLL
    for (int k = 0; k < ConvTile::kSlabChunks; k += 2) {
      std::uint32_t a[kTilesM][4];
      UNROLL
      for (int m = 0; m < kTilesM; ++m) ldmatrix(a[m], &left[slot][(a_at ^ k) + m * 16 * ConvTile::kSlabChunks]);
      UNROLL
      for (int n = 0; n < kTilesN; n += 2) {
        std::uint32_t b[4];
        ldmatrix(b, &right[slot][(b_at ^ k) + n * 8 * ConvTile::kSlabChunks]);
        UNROLL
        for (int m = 0; m < kTilesM; ++m) {
          mma<T>(acc[m][n], a[m], b[0], b[1]);
          mma<T>(acc[m][n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }
}

}  // namespace lfm::kernels::inline LFM_TARGET
