// What a 2x2 convolution reads of each position, side by side: for convolving by a matrix product.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// input [n][h][w][c] -> output [n][h-1][w-1][4][c], the taps in the order (0, 0), (0, 1), (1, 0), (1, 1). Values are
/// copied as they are, whatever their format; channel_bytes: of a position's c channels, a multiple of 16. Arrays
/// aligned to 16 bytes.
void unfold(void* output, const void* input, int n, int h, int w, int channel_bytes, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
