#include "src/engine/cpu/training/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "src/model/architecture.h"

namespace lfm::cpu {

BatchNorm::BatchNorm(int channels)
    : channels_(channels),
      rows_(std::size_t{7} * static_cast<std::size_t>(channels)),
      mean_(static_cast<std::size_t>(channels)),
      inverse_deviation_(static_cast<std::size_t>(channels)) {}

void BatchNorm::begin(const NormParameters& parameters) {
  for (int c = 0; c < channels_; ++c) {
    row(0)[c] = parameters.running_mean[c] - parameters.bias[c];
    row(1)[c] = static_cast<float>((parameters.scale[c] > 0) - (parameters.scale[c] < 0));
  }
}

void BatchNorm::finish(const NormParameters& parameters, std::span<double> sums, double count,
                       const Communicator& communicator) {
  communicator.sum(sums);
  communicator.sum({&count, 1});
  const std::size_t channels = static_cast<std::size_t>(channels_);
  for (std::size_t c = 0; c < channels; ++c) {
    sums[c] /= count;
    sums[channels + c] = std::max(0.0, sums[channels + c] / count - sums[c] * sums[c]);
  }
  finish(parameters, sums.first(channels), sums.last(channels), count);
}

void BatchNorm::finish(const NormParameters& parameters, std::span<const double> mean, std::span<const double> variance,
                       double count) {
  count_ = count;
  const double momentum = double{kBatchNormMomentum};
  for (int c = 0; c < channels_; ++c) {
    const std::size_t at = static_cast<std::size_t>(c);
    mean_[at] = mean[at];
    inverse_deviation_[at] = 1 / std::sqrt(variance[at] + double{kBatchNormEps});
    const double scale = parameters.scale[at] * inverse_deviation_[at];
    row(2)[c] = static_cast<float>(scale);
    row(3)[c] = static_cast<float>(parameters.shift[at] - scale * mean[at]);

    const double batch_mean = mean[at] + row(0)[c] + parameters.bias[at], unbiased = variance[at] * count / (count - 1);
    float& running_mean = parameters.running_mean[at];
    float& running_var = parameters.running_var[at];
    running_mean = static_cast<float>(running_mean + momentum * (batch_mean - running_mean));
    running_var = static_cast<float>(running_var + momentum * (unbiased - running_var));
  }
}

void BatchNorm::backward(const NormParameters& parameters, std::span<double> sums, const Communicator& communicator,
                         std::span<float> grad_scale, std::span<float> grad_shift, GradientMode mode) {
  const std::size_t channels = static_cast<std::size_t>(channels_);
  for (std::size_t c = 0; c < channels; ++c) {
    sums[channels + c] = (sums[channels + c] - mean_[c] * sums[c]) * inverse_deviation_[c];
    store_gradient(grad_shift[c], sums[c], mode);
    store_gradient(grad_scale[c], sums[channels + c], mode);
  }
  communicator.sum(sums);
  for (std::size_t c = 0; c < channels; ++c) {
    const double gain = parameters.scale[c] * inverse_deviation_[c];
    const double slope = -gain * inverse_deviation_[c] * sums[channels + c] / count_;
    row(4)[c] = static_cast<float>(gain);
    row(5)[c] = static_cast<float>(-gain * sums[c] / count_ - slope * mean_[c]);
    row(6)[c] = static_cast<float>(slope);
  }
}

}  // namespace lfm::cpu
