// Behind the stem's convolution in training: batch norm, ReLU and the 3x3 max-pool by 2, and the pooling's way back.
#pragma once

#include <cstdint>

#include "kernels/batch_norm.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// output [n][ph][pw][c] = max(0, the largest of each window of norm), and which of the window's values it was, tap =
/// 3*ky + kx, the first of equals: winners [n][ph][pw][c/4], a byte each of four channels. Windows as padded_conv's,
/// two apart, of what lies inside: ph = (h-1)/2 + 1, pw likewise. `pool` of the norm is not looked at.
void stem_pool(float* output, std::uint32_t* winners, const BatchNorm<float>& norm, Stream stream);

/// grad_input [n][h][w][c] = the sum of grad_output [n][ph][pw][c] over the windows that a value won: the gradient of
/// what the pooling saw, as batch_norm_relu_backward takes it. c a multiple of 4; arrays aligned to 16 bytes.
void stem_pool_backward(float* grad_input, const float* grad_output, const std::uint32_t* winners, int n, int h, int w,
                        int c, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
