// Batch norm with the statistics of the batch, ReLU and (optionally) 2x2/2 max-pooling: forward and backward of
// training.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/element.h"
#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// Floats of scratch that the functions below need for maps [positions][c]; more positions never need less.
std::size_t batch_norm_scratch(std::int64_t positions, int c);

/// Of the batch of this process: moments [2][c] = mean, then the sum of squared deviations from it. x [positions][c], c
/// a multiple of 64. Welford's recurrence within a slice, exact merging across: values far from zero lose nothing. X,
/// here and below: float or Bfloat16, of which everything is computed in FP32.
template <typename X>
void batch_moments(double* moments, float* scratch, const X* x, std::int64_t positions, int c, Stream stream);

/// Moments of processes that share a batch, made those of the whole batch by two sums over the processes: first of
/// totals [c] = count * mean, of `count` positions each,
void moments_to_totals(double* totals, const double* moments, double count, int c, Stream stream);
/// then of what this makes of the second row: given the summed totals of `whole` positions, moments [2][c] = the mean
/// of all, and this process's squared deviations from it. Nothing cancels, as it would in sums of squares.
void recentre_moments(double* moments, const double* totals, double count, double whole, int c, Stream stream);

/// From the moments of the whole batch of `count` positions: statistics [2][c] = mean, then 1/sqrt(variance + eps); and
/// the running statistics [c] move by `momentum` towards the batch's mean and its unbiased variance. bias [c] or null:
/// what x was stored without, for the running mean alone; batch norm would take it away again.
void batch_statistics(float* statistics, float* running_mean, float* running_var, const double* moments, double count,
                      int c, float eps, float momentum, const float* bias, Stream stream);

/// y = scale * (x - mean)/deviation + shift, ReLU, pooled or not.
template <typename X>
struct BatchNorm {
  const X* x = nullptr;               ///< [n][h][w][c]; c a multiple of 64, 16-byte aligned like all arrays here
  const float* statistics = nullptr;  ///< [2][c], of batch_statistics
  const float* scale = nullptr;       ///< [c]
  const float* shift = nullptr;       ///< [c]
  int n = 0;
  int h = 0;
  int w = 0;
  int c = 0;
  bool pool = false;
  bool relu = true;  ///< on the way back alone: false where something is added before it (join.h); float, unpooled
};

/// output [n][h][w][c] or, pooled, [n][h/2][w/2][c]. T: float, or rounded: Bfloat16, Tf32.
template <typename T, typename X>
void batch_norm_relu(T* output, const BatchNorm<X>& norm, Stream stream);

/// sums [2][c] = the sum over positions of g, and of g * x_hat, with g = grad_output where it reaches y: through the
/// first largest of its window if that is above zero. grad_scale and grad_shift [c] are set to (or, accumulating,
/// increased by) those of this process. G: float or Bfloat16.
template <typename X, typename G>
void batch_norm_relu_backward_sums(double* sums, float* grad_scale, float* grad_shift, float* scratch,
                                   const BatchNorm<X>& norm, const G* grad_output, bool accumulate, Stream stream);

/// The gradient of x, grad_x [n][h + 2*border][w + 2*border][c] with zeros around: border = 1 is what
/// conv2x2_backward_input reads; with border = 0 grad_x, where it has x's type, may be x itself. sums: over the whole
/// batch of `count` positions. T as above.
template <typename T, typename X>
void batch_norm_relu_backward(T* grad_x, float* scratch, const BatchNorm<X>& norm, const Stored<T>* grad_output,
                              const double* sums, double count, int border, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
