// The gradient of a padded convolution's weight. That of its input is a padded convolution again, of the weight turned
// around (transpose.h) and, behind a stride of 2, of the gradient spread (spread.h).
#pragma once

#include <cstddef>

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// As in padded_conv.h: input [n][h][w][ic], output [n][oh][ow][oc].
struct PaddedConvShape {
  int n = 0;
  int h = 0;
  int w = 0;
  int ic = 0;
  int oc = 0;
  int kernel = 1;  ///< 1 or 3
  int stride = 1;  ///< 1 or 2
};

/// Floats of scratch that padded_conv_backward_weight needs; more positions never need less.
std::size_t padded_conv_backward_weight_scratch(const PaddedConvShape& shape);

/// grad_weight [kernel*kernel][ic][oc] (+)= the sum over positions of input times grad_output [n][oh][ow][oc]. ic and
/// oc multiples of 64, arrays aligned to 16 bytes.
void padded_conv_backward_weight(float* grad_weight, float* scratch, const float* input, const float* grad_output,
                                 const PaddedConvShape& shape, bool accumulate, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
