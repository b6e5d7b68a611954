// Where a bottleneck ends: batch norm, the shortcut added, ReLU; forward and backward of training.
#pragma once

#include <cstddef>

#include "kernels/batch_norm.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// output [n][h][w][c] = max(0, norm + shortcut), with the norm of x as it is in BatchNorm, and shortcut laid out as x.
void join(float* output, const BatchNorm<float>& norm, const float* shortcut, Stream stream);
/// The same with a shortcut that is normalised too; of the same shape.
void join(float* output, const BatchNorm<float>& norm, const BatchNorm<float>& shortcut, Stream stream);

/// grad [count] = 0 where output [count] is not above zero: in place, from the gradient of the output to that of the
/// sum, which both sides get. count a multiple of 4; arrays aligned to 16 bytes.
void join_backward(float* grad, const float* output, std::size_t count, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
