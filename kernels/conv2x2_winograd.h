// The 2x2 convolution in FP32 by Winograd's F(2x2, 2x2): 9 multiplications for four outputs instead of 16.
#pragma once

#include "kernels/conv2x2_direct.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// As conv2x2_direct, but conv.weight is transformed and in stages (winograd_layout.h; pack_winograd() makes it). ic a
/// multiple of 8, oc of 64, arrays aligned to 16 bytes. Rounding: where the direct convolution sums terms |d0 g0| + |d1
/// g1|, this sums (|d0| + |d1|) |g0| + |d1| (|g0| + |g1|) + ..., in both dimensions: for values of one size four times
/// as much, and so is the bound of its error.
void conv2x2_winograd(const Conv2x2& conv, Epilogue epilogue, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
