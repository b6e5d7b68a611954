// The first block's convolution in training: from pixels, without pooling, and the gradient of its weight.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/element.h"
#include "kernels/first_block.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// What multiplies the residual of each channel: FrontEndRow::scale() (src/model/front_end.h).
struct ResidualScale {
  float channel[3];
};

/// Source uint8_t: pixels are the picture's, of which NPR is computed, and an odd last row or column is dropped. Source
/// float: they are a residual's values (residual.h).
template <typename Source = std::uint8_t>
struct FirstConvInput {
  const Source* pixels = nullptr;  ///< [n][height][width][3]
  int n = 0;
  int height = 0;
  int width = 0;
  ResidualScale scale;
};

/// weight [4][3][64], bias [64] -> output [n][h-1][w-1][64], h x w the size of the residual.
template <typename Source>
void first_conv(float* output, const FirstConvInput<Source>& input, const float* weight, const float* bias,
                Stream stream);

/// Floats of scratch that first_conv_backward_weight needs, of either source; more images never need less.
std::size_t first_conv_backward_weight_scratch(int n, int height, int width);

/// grad_weight [4][3][64] (+)= the sum over positions of the residual times grad_output [n][h-1][w-1][64]. G: float or
/// Bfloat16, of which products and sums are FP32.
template <typename Source, typename G>
void first_conv_backward_weight(float* grad_weight, float* scratch, const FirstConvInput<Source>& input,
                                const G* grad_output, bool accumulate, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
