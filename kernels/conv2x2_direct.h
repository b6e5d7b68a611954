// The 2x2 convolution, stride 1, no padding, with what follows it fused into its epilogue.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

enum class Epilogue {
  bias,            ///< y = conv + bias
  bias_relu,       ///< y = max(0, conv + bias)
  bias_relu_pool,  ///< y = max(0, maxpool2x2(conv) + bias): bias and ReLU are monotone, so the pooling may come first
};

/// input [n][h][w][ic], weight [4][ic][oc] with tap = 2*ky + kx, bias [oc]
/// -> output [n][h-1][w-1][oc], pooled [n][(h-1)/2][(w-1)/2][oc].
struct Conv2x2 {
  float* output = nullptr;
  const float* input = nullptr;
  const float* weight = nullptr;
  const float* bias = nullptr;
  int n = 0;
  int h = 0;
  int w = 0;
  int ic = 0;
  int oc = 0;
};

/// One thread per output, straight from the definition; any shape.
void conv2x2_naive(const Conv2x2& conv, Epilogue epilogue, Stream stream);

/// Register-tiled implicit GEMM in FP32. ic a multiple of 8, oc of 128, arrays aligned to 16 bytes.
void conv2x2_direct(const Conv2x2& conv, Epilogue epilogue, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
