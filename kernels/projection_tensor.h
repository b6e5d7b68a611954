// The 1x1 convolution of training on tensor cores, forward and backward, as GEMMs over positions.
#pragma once

#include <cstddef>

#include "kernels/element.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// maps [n][64][area] in FP32 from input [n][area][ic] and the weight [ic][64], packed by pack_training_weight,
/// forward. T: Bfloat16, Tf32, from compute capability 8.0 on, here and below. ic a multiple of 128. The naive version
/// is projection_naive.
template <typename T>
void projection_tensor(float* maps, const T* input, const T* weight, int n, int area, int ic, Stream stream);

/// grad_input [positions][ic] from grad_maps [positions][64] and the weight packed backward: FP32 sums, for Bfloat16
/// rounded to it.
template <typename T>
void projection_input_tensor(Stored<T>* grad_input, const T* grad_maps, const T* weight, int positions, int ic,
                             Stream stream);

/// Floats of scratch that projection_weight_tensor needs.
std::size_t projection_weight_tensor_scratch(int positions, int ic);

/// grad_weight [ic][64] (+)= the sum over positions of input [positions][ic] times grad_maps [positions][64].
template <typename T>
void projection_weight_tensor(float* grad_weight, float* scratch, const T* input, const T* grad_maps, int positions,
                              int ic, bool accumulate, Stream stream);

/// rounded [count] = values [count] to nearest; count a multiple of 4.
template <typename T>
void round_values(T* rounded, const float* values, std::size_t count, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
