// The 1x1 convolution to the maps that are pooled.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kProjectionChannels = 64;

/// input [n][area][ic], weight [ic][64] -> maps [n][64][area]; no bias. ic a multiple of 8, arrays aligned to 16 bytes.
void projection(float* maps, const float* input, const float* weight, int n, int area, int ic, Stream stream);

/// The same from the definition, one thread per output; any ic.
void projection_naive(float* maps, const float* input, const float* weight, int n, int area, int ic, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
