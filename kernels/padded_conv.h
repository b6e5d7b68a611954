// Convolutions 1x1 and 3x3 with a border of zeros, as in ResNet's bottlenecks, with what follows them fused into their
// epilogue.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// input [n][h][w][ic], weight [kernel*kernel][ic][oc] with tap = kernel*ky + kx, bias [oc] -> output [n][oh][ow][oc]
/// with oh = (h-1)/stride + 1, ow likewise: of the windows of kernel x kernel values, `stride` apart, the first has its
/// middle at the first value. y = conv + bias + shortcut, then, with relu, max(0, y). T: what is stored; sums, bias and
/// maps are FP32.
template <typename T>
struct PaddedConv {
  T* output = nullptr;
  const T* input = nullptr;
  const T* weight = nullptr;
  const float* bias = nullptr;
  const T* shortcut = nullptr;  ///< laid out as [n][oh][ow][oc]: may be the output itself; null: nothing is added
  int n = 0;
  int h = 0;
  int w = 0;
  int ic = 0;
  int oc = 0;
  int kernel = 1;  ///< 1 or 3
  int stride = 1;  ///< 1 or 2
  bool relu = true;
  float* maps = nullptr;  ///< [n][oc][oh*ow] for pooling, in place of the output
};

/// Register-tiled implicit GEMM in FP32. ic a multiple of 8, oc of 64, arrays aligned to 16 bytes.
void padded_conv(const PaddedConv<float>& conv, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
