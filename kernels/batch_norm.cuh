// What batch norm does to a value, for the kernels that normalise on their way. Its roundings are written out, so that
// forward and backward, and kernels that pool, agree on the largest and on what is above zero.
#pragma once

#include "kernels/batch_norm.h"
#include "kernels/tensor_core.cuh"

namespace lfm::kernels::inline LFM_TARGET {

/// What four channels need.
struct NormCoefficients {
  float mean[4], inverse[4], scale[4], shift[4];  // scale: times inverse
  template <typename X>
  __device__ __forceinline__ NormCoefficients(const BatchNorm<X>& norm, int channel) {
    load_values(mean, norm.statistics + channel);
    load_values(inverse, norm.statistics + norm.c + channel);
    load_values(scale, norm.scale + channel);
    load_values(shift, norm.shift + channel);
    UNROLL
    for (int j = 0; j < 4; ++j) scale[j] *= inverse[j];
  }
  __device__ __forceinline__ float x_hat(float x, int j) const { return (x - mean[j]) * inverse[j]; }
  __device__ __forceinline__ float y(float x, int j) const { return multiply_add(x - mean[j], scale[j], shift[j]); }
};

/// Unlike a maximum, keeps NaN: a run that diverges must show it in its loss.
__device__ __forceinline__ float relu_of_norm(float y) { return y < 0.0f ? 0.0f : y; }

}  // namespace lfm::kernels::inline LFM_TARGET
