// The last block and the 1x1 convolution behind it in one kernel, on tensor cores.
#pragma once

#include "kernels/element.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// input [n][h][w][ic], weight packed by pack_tensor_last_block (src/engine/cuda/tensor_pack.h), bias [oc]
/// -> maps [n][64][(h-1)*(w-1)] in FP32: projection of max(0, conv2x2 + bias), which is rounded to T and never leaves
/// the chip.
template <typename T>
struct LastBlockTensor {
  float* maps = nullptr;
  const T* input = nullptr;
  const void* weight = nullptr;
  const float* bias = nullptr;
  int n = 0;
  int h = 0;
  int w = 0;
  int ic = 0;  ///< a multiple of 32 halves or 16 TF32
  int oc = 0;  ///< of the convolution; a multiple of 128
  /// Null, or n * ConvTile::tiles(h-1, w-1) tiles of 128 positions x oc of T. With it the work is split over eight
  /// times as many blocks, in two launches that leave there what the convolution gives: for few images. The same bits.
  T* scratch = nullptr;
};

/// T: Half; Bfloat16 and Tf32 from compute capability 8.0 on. Arrays aligned to 16 bytes. The naive version is
/// conv2x2_naive, then projection_naive.
template <typename T>
void last_block_tensor(const LastBlockTensor<T>& block, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
