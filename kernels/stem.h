// The stem of the ResNet trunk: 3x3 convolution by 2, bias, ReLU and the 3x3 max-pool by 2 in one.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kStemOutputs = 64;  ///< channels

/// residual [n][h][w][3], weight [9][3][64] with tap = 3*ky + kx, bias [64] -> output [n][ph][pw][64]: windows as
/// padded_conv's, both times, where the pooling passes over what lies beyond the border. ph = (ch-1)/2 + 1 with
/// ch = (h-1)/2 + 1, pw likewise. Arrays aligned to 16 bytes. T: float, or what
/// it is rounded to for tensor cores (element.h).
template <typename T>
void stem(T* output, const float* residual, const float* weight, const float* bias, int n, int h, int w, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
