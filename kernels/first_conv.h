// The first block's convolution in training: from pixels, without pooling, and the gradient of its weight.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/first_block.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// What multiplies the integer residual of each channel: 1/(255 std).
struct ResidualScale {
  float channel[3];
};

struct FirstConvInput {
  const std::uint8_t* pixels = nullptr;  ///< [n][height][width][3]; an odd last row or column is dropped
  int n = 0;
  int height = 0;
  int width = 0;
  ResidualScale scale;
};

/// weight [4][3][64], bias [64] -> output [n][h-1][w-1][64], h = height & ~1, w = width & ~1.
void first_conv(float* output, const FirstConvInput& input, const float* weight, const float* bias, Stream stream);

/// Floats of scratch that first_conv_backward_weight needs; more images never need less.
std::size_t first_conv_backward_weight_scratch(int n, int height, int width);

/// grad_weight [4][3][64] (+)= the sum over positions of the residual times grad_output [n][h-1][w-1][64].
void first_conv_backward_weight(float* grad_weight, float* scratch, const FirstConvInput& input, const float* grad_output,
                                bool accumulate, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
