// The last block and the 1x1 convolution behind it in one kernel, by Hopper's warpgroup products.
#pragma once

#include "kernels/last_block_tensor.h"

namespace lfm::kernels::inline LFM_TARGET {

/// What last_block_tensor computes, from weights packed by pack_wgmma_last_block (src/engine/cuda/tensor_pack.h).
/// Compiled for compute capability 9.0 alone (sm_90a); elsewhere the launch throws Error{device}. With scratch, of the
/// same size, the work is split over as many times as many blocks as there are groups of 128 channels: the same bits.
template <typename T>
void last_block_wgmma(const LastBlockTensor<T>& block, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
