// The convolutions of padded_conv.h on tensor cores.
#pragma once

#include "kernels/element.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// As PaddedConv, with input, shortcut and output of T and the weight packed by pack_padded_conv
/// (src/engine/cuda/tensor_pack.h). Sums, bias and ReLU in FP32, rounded once.
template <typename T>
struct PaddedConvTensor {
  T* output = nullptr;
  const T* input = nullptr;
  const void* weight = nullptr;
  const float* bias = nullptr;
  const T* shortcut = nullptr;  ///< may be the output; null: nothing is added
  int n = 0;
  int h = 0;
  int w = 0;
  int ic = 0;      ///< a multiple of 32 halves or 16 TF32
  int oc = 0;      ///< a multiple of 64
  int kernel = 1;  ///< 1 or 3
  int stride = 1;  ///< 1 or 2
  bool relu = true;
  float* maps = nullptr;  ///< [n][oc][oh*ow] in FP32 for pooling, in place of the output
};

/// T: Half; Bfloat16 and Tf32 from compute capability 8.0 on. Arrays aligned to 16 bytes.
template <typename T>
void padded_conv_tensor(const PaddedConvTensor<T>& conv, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
