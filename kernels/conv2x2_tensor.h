// The 2x2 convolution of blocks 2 and 3 on tensor cores, with bias, ReLU and pooling.
#pragma once

#include "kernels/element.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// input [n][h][w][ic], weight packed by pack_tensor_conv (src/engine/cuda/tensor_pack.h), bias [oc]
/// -> output [n][(h-1)/2][(w-1)/2][oc], rounded to T: max(0, maxpool2x2(conv) + bias). Sums in FP32.
template <typename T>
struct Conv2x2Tensor {
  T* output = nullptr;
  const T* input = nullptr;
  const void* weight = nullptr;
  const float* bias = nullptr;
  int n = 0;
  int h = 0;
  int w = 0;
  int ic = 0;  ///< a multiple of 32 halves or 16 TF32
  int oc = 0;  ///< a multiple of 128
};

/// T: Half; Bfloat16 and Tf32 from compute capability 8.0 on. Arrays aligned to 16 bytes. The naive version is
/// conv2x2_naive.
template <typename T>
void conv2x2_tensor(const Conv2x2Tensor<T>& conv, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
