// The first block in one kernel, from pixels to pooled activations; the residual never touches memory.
#pragma once

#include <cstdint>

#include "kernels/element.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kFirstBlockChannels = 64;

/// pixels [n][height][width][3], weight [4][3][64] (tap, input channel, output channel) for the residual as integers 0...255,
/// bias [64] -> output [n][(h-1)/2][(w-1)/2][64] with h = height & ~1, w = width & ~1: residual, convolution, bias, ReLU, pooling.
/// Equals npr() followed by conv2x2(bias_relu_pool) up to the order of summation. Computed in FP32; T: float, or what the tensor cores
/// of the next block multiply, to which the output is rounded.
template <typename T>
void first_block(T* output, const std::uint8_t* pixels, const float* weight, const float* bias, int n, int height,
                 int width, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
