// The gradient of the 2x2 convolution's weight on tensor cores.
#pragma once

#include <cstddef>

#include "kernels/conv2x2_direct_training.h"
#include "kernels/element.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// Floats of scratch that conv2x2_tensor_weight needs.
template <typename T>
std::size_t conv2x2_tensor_weight_scratch(const Conv2x2Shape& shape);

/// grad_weight [4][ic][oc] (+)= the sum over positions of input [n][h][w][ic] times grad_output [n][h+1][w+1][oc],
/// which has a border; its values are not read. Sums in FP32, slices of them added in double. ic a multiple of 32
/// halves or 16 TF32, oc of 128. T: Bfloat16, Tf32, from compute capability 8.0 on. Arrays aligned to 16 bytes. The
/// naive version is conv2x2_backward_weight_naive.
template <typename T>
void conv2x2_tensor_weight(float* grad_weight, float* scratch, const T* input, const T* grad_output,
                           const Conv2x2Shape& shape, bool accumulate, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
