// The gradient of a convolution with stride 2, as a convolution with stride 1 reads it.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// values [n][oh][ow][c] -> spread [n][h][w][c]: at every second row and column, from the first on; zeros between. oh =
/// (h-1)/2 + 1, ow likewise; c a multiple of 4, arrays aligned to 16 bytes.
void spread(float* spread, const float* values, int n, int h, int w, int c, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
