// The 2x2 convolution of training on tensor cores, forward and the gradient of its input; and weights as tensor cores
// read them.
#pragma once

#include <cstddef>

#include "kernels/element.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// Which of two convolutions a weight [taps][ic][oc] is packed for: the forward one, ic -> oc, or the one that takes
/// the gradient of the output to that of the input, oc -> ic with the taps in reverse order.
enum class ConvDirection { forward, backward };

/// weight [taps][ic][oc] in FP32 -> packed, taps*ic*oc of T, rounded and in the order in which conv2x2_tensor_training
/// (taps = 4) or projection_tensor.h (taps = 1) consume it. Of ic and oc, the output's a multiple of 64, the other of
/// 32 halves or 16 TF32.
template <typename T>
void pack_training_weight(T* packed, const float* weight, int taps, int ic, int oc, ConvDirection direction,
                          Stream stream);

/// input [n][h][w][ic], weight packed, bias [oc] or null -> output [n][h-1][w-1][oc], neither activated nor pooled:
/// FP32 sums, for Bfloat16 rounded to it. For the gradient of an input, `input` is that of the output with its border
/// of zeros and ic, oc change places.
template <typename T>
struct Conv2x2TensorTraining {
  Stored<T>* output = nullptr;
  const T* input = nullptr;
  const T* weight = nullptr;
  const float* bias = nullptr;
  int n = 0;
  int h = 0;
  int w = 0;
  int ic = 0;  ///< a multiple of 32 halves or 16 TF32
  int oc = 0;  ///< a multiple of 64
};

/// T: Bfloat16, Tf32, from compute capability 8.0 on. Arrays aligned to 16 bytes. The naive versions are conv2x2_naive
/// and conv2x2_backward_input_naive.
template <typename T>
void conv2x2_tensor_training(const Conv2x2TensorTraining<T>& conv, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
