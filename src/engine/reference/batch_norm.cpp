#include <cmath>
#include <cstddef>

#include "src/engine/reference/operations.h"
#include "src/engine/reference/parallel_for.h"

namespace lfm::reference {
namespace {

// sums[c] = sum over images and positions of term(c, index of the value)
template <typename Term>
std::vector<double> channel_sums(const Maps& x, const Term& term) {
  std::vector<double> sums(static_cast<std::size_t>(x.c));
  parallel_for(x.c, [&](int c) {
    for (int image = 0; image < x.n; ++image) {
      const std::size_t first = static_cast<std::size_t>(x.plane(image, c) - x.values.data());
      for (std::size_t p = first; p < first + x.area(); ++p) sums[c] += term(c, p);
    }
  });
  return sums;
}

}  // namespace

BatchStatistics batch_statistics(const Maps& x, const Communicator& communicator) {
  BatchStatistics s;
  std::vector<double> sums = channel_sums(x, [&](int, std::size_t p) { return x.values[p]; });
  sums.push_back(static_cast<double>(x.n) * static_cast<double>(x.area()));
  communicator.sum(sums);
  s.count = sums.back();
  sums.pop_back();
  s.mean = sums;
  for (double& mean : s.mean) mean /= s.count;
  s.variance = channel_sums(x, [&](int c, std::size_t p) {
    const double deviation = x.values[p] - s.mean[c];
    return deviation * deviation;
  });
  communicator.sum(s.variance);
  for (double& variance : s.variance) variance /= s.count;
  return s;
}

Maps batch_norm(const Maps& x, std::span<const double> mean, std::span<const double> variance,
                std::span<const double> scale, std::span<const double> shift) {
  Maps y(x.n, x.c, x.h, x.w);
  parallel_for(x.n * x.c, [&](int item) {
    const int image = item / x.c, c = item % x.c;
    const double inverse_deviation = 1.0 / std::sqrt(variance[c] + kBatchNormEps);
    const double* in = x.plane(image, c);
    double* out = y.plane(image, c);
    for (std::size_t p = 0; p < x.area(); ++p) out[p] = (in[p] - mean[c]) * inverse_deviation * scale[c] + shift[c];
  });
  return y;
}

// With x_hat = (x - mean)/deviation:  grad_x = scale/deviation * (grad_y - mean(grad_y) - x_hat * mean(grad_y * x_hat))
Maps batch_norm_backward(const Maps& x, const BatchStatistics& statistics, std::span<const double> scale,
                         const Maps& grad_y, std::span<double> grad_scale, std::span<double> grad_shift,
                         const Communicator& communicator) {
  std::vector<double> inverse_deviation(static_cast<std::size_t>(x.c));
  for (int c = 0; c < x.c; ++c) inverse_deviation[c] = 1.0 / std::sqrt(statistics.variance[c] + kBatchNormEps);
  const auto x_hat = [&](int c, std::size_t p) { return (x.values[p] - statistics.mean[c]) * inverse_deviation[c]; };

  std::vector<double> sum_grad = channel_sums(x, [&](int, std::size_t p) { return grad_y.values[p]; });
  std::vector<double> sum_grad_x_hat =
      channel_sums(x, [&](int c, std::size_t p) { return grad_y.values[p] * x_hat(c, p); });
  for (int c = 0; c < x.c; ++c) {
    grad_shift[c] += sum_grad[c];
    grad_scale[c] += sum_grad_x_hat[c];
  }
  communicator.sum(sum_grad);
  communicator.sum(sum_grad_x_hat);

  Maps grad_x(x.n, x.c, x.h, x.w);
  parallel_for(x.n * x.c, [&](int item) {
    const int image = item / x.c, c = item % x.c;
    const std::size_t first = static_cast<std::size_t>(x.plane(image, c) - x.values.data());
    for (std::size_t p = first; p < first + x.area(); ++p) {
      const double centred = grad_y.values[p] - (sum_grad[c] + x_hat(c, p) * sum_grad_x_hat[c]) / statistics.count;
      grad_x.values[p] = scale[c] * inverse_deviation[c] * centred;
    }
  });
  return grad_x;
}

void update_running_statistics(const BatchStatistics& batch, std::span<double> running_mean,
                               std::span<double> running_var) {
  for (std::size_t c = 0; c < batch.mean.size(); ++c) {
    const double unbiased = batch.variance[c] * batch.count / (batch.count - 1);
    running_mean[c] = static_cast<float>(running_mean[c] + kBatchNormMomentum * (batch.mean[c] - running_mean[c]));
    running_var[c] = static_cast<float>(running_var[c] + kBatchNormMomentum * (unbiased - running_var[c]));
  }
}

}  // namespace lfm::reference
