// The gradients of the 1x1 convolution to the maps.
#pragma once

#include <cstddef>

#include "kernels/projection.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// grad_maps [positions][64], the weight transposed [64][ic] (transpose.h) -> grad_input [positions][ic]. ic a multiple
/// of 128.
void projection_backward_input(float* grad_input, const float* grad_maps, const float* transposed, int positions,
                               int ic, Stream stream);

/// Floats of scratch that projection_backward_weight needs.
std::size_t projection_backward_weight_scratch(int positions, int ic);

/// grad_weight [ic][64] (+)= the sum over positions of input [positions][ic] times grad_maps [positions][64]. ic a
/// multiple of 128.
void projection_backward_weight(float* grad_weight, float* scratch, const float* input, const float* grad_maps,
                                int positions, int ic, bool accumulate, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
