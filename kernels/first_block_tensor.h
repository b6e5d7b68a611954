// The first block on tensor cores, from pixels to pooled activations.
#pragma once

#include <cstdint>

#include "kernels/element.h"
#include "kernels/first_block.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// As first_block() from pixels, but what is multiplied is T (Half, Bfloat16, Tf32): residuals, which are integers up
/// to 255 and so exact in each of them, and weights, rounded to T. Sums, bias and maximum are FP32, the output is
/// rounded to T. blocks_wanted: of threads, at least; where there is work for more, a block takes several parts of it
/// one after the other, and reads the weights once. Weights of 2^8 and more, in units of a grey level, overflow Half;
/// a network whose activations Half holds has none. Compute capability 8.0 or newer; Half 7.5.
template <typename T>
void first_block_tensor(T* output, const std::uint8_t* pixels, const float* weight, const float* bias, int n,
                        int height, int width, Stream stream, int blocks_wanted = 1024);

}  // namespace lfm::kernels::inline LFM_TARGET
