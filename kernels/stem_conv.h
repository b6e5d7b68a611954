// The stem's convolution in training: by itself, and the gradient of its weight.
#pragma once

#include <cstddef>

#include "kernels/first_conv.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// residual [n][h][w][3], times its scale, weight [9][3][64] with tap = 3*ky + kx -> output [n][ch][cw][64] with ch =
/// (h-1)/2 + 1, cw likewise, as padded_conv with a stride of 2. Arrays aligned to 16 bytes.
void stem_conv(float* output, const FirstConvInput<float>& residual, const float* weight, Stream stream);

/// Floats of scratch that stem_conv_backward_weight needs; more images never need less.
std::size_t stem_conv_backward_weight_scratch(int n, int h, int w);

/// grad_weight [9][3][64] (+)= the sum over positions of the scaled residual times grad_output [n][ch][cw][64].
void stem_conv_backward_weight(float* grad_weight, float* scratch, const FirstConvInput<float>& residual,
                               const float* grad_output, bool accumulate, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
