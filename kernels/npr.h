// The NPR residual (docs/METHOD.md, section 2), materialised: for training and as the plain first step that first_block is tested against.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// residual [n][h][w][3] = |pixel - top-left pixel of its 2x2 cell|, integers 0...255 as float, with h = height & ~1, w = width & ~1.
/// pixels [n][height][width][3].
void npr(float* residual, const std::uint8_t* pixels, int n, int height, int width, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
