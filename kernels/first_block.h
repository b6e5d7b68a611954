// The first block in one kernel, from pixels or a residual to pooled activations.
#pragma once

#include <cstdint>

#include "kernels/element.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kFirstBlockChannels = 64;

/// pixels [n][height][width][3], weight [4][3][64] (tap, input channel, output channel) for the residual in grey
/// levels, bias [64] -> output [n][(h-1)/2][(w-1)/2][64]: residual, convolution, bias, ReLU, pooling. Computed in FP32;
/// T: float, or what the tensor cores of the next block multiply, to which the output is rounded.
/// Source uint8_t: pixels are the picture's, whose NPR residual never touches memory; h = height & ~1, w = width & ~1;
/// T is float, and first_block_tensor.h has the others.
/// Source float: pixels are a residual's values (residual.h), h x w = height x width. Equals residual() followed by
/// conv2x2(bias_relu_pool) up to the order of summation.
template <typename T, typename Source>
void first_block(T* output, const Source* pixels, const float* weight, const float* bias, int n, int height, int width,
                 Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
