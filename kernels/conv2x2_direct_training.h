// The gradients of the 2x2 convolution. That of its bias is not computed: batch norm follows and takes any shift of a
// channel away again, so it is exactly zero.
#pragma once

#include <cstddef>

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// The convolution's shape, as in conv2x2_direct.h: input [n][h][w][ic], output [n][h-1][w-1][oc].
struct Conv2x2Shape {
  int n = 0;
  int h = 0;
  int w = 0;
  int ic = 0;
  int oc = 0;
};

/// grad_input [n][h][w][ic] from grad_output [n][h+1][w+1][oc], whose outermost rows and columns are zeros around the
/// [h-1][w-1] of the output, and from the weight turned around [4][oc][ic] (transpose.h: four layers, reversed). oc a
/// multiple of 8, ic of 64.
void conv2x2_backward_input(float* grad_input, const float* grad_output, const float* transposed,
                            const Conv2x2Shape& shape, Stream stream);
/// The same from the definition, one thread per value; weight [4][ic][oc] itself, any shape.
void conv2x2_backward_input_naive(float* grad_input, const float* grad_output, const float* weight,
                                  const Conv2x2Shape& shape, Stream stream);

/// Floats of scratch that conv2x2_backward_weight needs.
std::size_t conv2x2_backward_weight_scratch(const Conv2x2Shape& shape);

/// grad_weight [4][ic][oc] (+)= the sum over positions of input times grad_output, which has its border of zeros. ic a
/// multiple of 64, oc of 128.
void conv2x2_backward_weight(float* grad_weight, float* scratch, const float* input, const float* grad_output,
                             const Conv2x2Shape& shape, bool accumulate, Stream stream);
/// The same from the definition, one thread per value; any shape.
void conv2x2_backward_weight_naive(float* grad_weight, const float* input, const float* grad_output,
                                   const Conv2x2Shape& shape, bool accumulate, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
