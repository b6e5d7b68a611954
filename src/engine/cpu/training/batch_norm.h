// Batch norm of one block in training: y = scale * (x - mean)/deviation + shift with the statistics of the batch, then
// ReLU.
//
// x is stored minus a centre per channel, the running mean without the convolution's bias: values near zero, so that
// sums of squares lose nothing to cancellation. The convolution's bias drops out of everything but the running mean.
// With g the gradient behind ReLU and (max-pool's scatter included) N values per channel over all processes,
//
//     m1 = sum g / N     m2 = sum g x_hat / N     x_hat = (x - mean)/deviation
//     dscale = sum g x_hat     dshift = sum g     dx = scale/deviation (g - m1 - x_hat m2)
//
// and dx is one multiply-add more than a copy: dx = gain g + offset + slope x.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/training/training_kernels.h"
#include "src/engine/engine.h"

namespace lfm::cpu {

/// One block's share of the parameter arena.
struct NormParameters {
  std::span<const float> bias;  ///< of the convolution
  std::span<const float> scale, shift;
  std::span<float> running_mean, running_var;
};

class BatchNorm {
 public:
  explicit BatchNorm(int channels);

  /// Before the convolution: what it subtracts from every output, and the sign of scale, which decides pooling. [c]
  /// each.
  void begin(const NormParameters& parameters);
  const float* centre() const { return row(0); }
  const float* sign() const { return row(1); }

  /// sums: of the stored x and of its squares, [2][c], over this process; overwritten. count: values per channel. Makes
  /// norm() and updates the running statistics as PyTorch does.
  void finish(const NormParameters& parameters, std::span<double> sums, double count, const Communicator& communicator);
  /// The same from known statistics over all processes: mean of the stored x and its biased variance, [c] each.
  void finish(const NormParameters& parameters, std::span<const double> mean, std::span<const double> variance,
              double count);
  Affine norm() const { return {row(2), row(3)}; }

  /// sums: of g and of g x, [2][c], over this process; overwritten. Writes or adds the gradients of scale and shift.
  void backward(const NormParameters& parameters, std::span<double> sums, const Communicator& communicator,
                std::span<float> grad_scale, std::span<float> grad_shift, GradientMode mode);
  const float* gain() const { return row(4); }
  const float* offset() const { return row(5); }
  const float* slope() const { return row(6); }

  double mean(int c) const { return mean_[static_cast<std::size_t>(c)]; }
  double inverse_deviation(int c) const { return inverse_deviation_[static_cast<std::size_t>(c)]; }

 private:
  float* row(int i) const { return rows_.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(channels_); }

  int channels_;
  Buffer rows_;  // [7][c]: centre, sign, scale, shift, gain, offset, slope
  std::vector<double> mean_, inverse_deviation_;
  double count_ = 0;
};

/// into = mode == overwrite ? value : into + value.
inline void store_gradient(float& into, double value, GradientMode mode) {
  into = static_cast<float>(mode == GradientMode::overwrite ? value : into + value);
}

}  // namespace lfm::cpu
