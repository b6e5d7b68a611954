// Max-pooling by itself, behind a convolution that somebody else computed.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// input [n][h][w][c] -> output [n][h/2][w/2][c], the largest of each 2x2 window; an odd last row or column is dropped.
/// For what a ReLU left, nothing below zero, of which the largest is that of the largest bits: item_bytes 2 (FP16,
/// BF16) or 4 (FP32, TF32). c a multiple of 16 bytes; arrays aligned to 16 bytes.
void max_pool_of_relu(void* output, const void* input, int n, int h, int w, int c, int item_bytes, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
