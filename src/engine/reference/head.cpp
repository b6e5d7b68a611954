#include <algorithm>
#include <cmath>
#include <cstddef>

#include "src/engine/reference/operations.h"

namespace lfm::reference {

std::vector<double> head(std::span<const double> x, std::span<const double> weight, std::span<const double> bias) {
  const std::size_t outputs = bias.size(), features = weight.size() / outputs;
  std::vector<double> y(x.size() / features * outputs);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t image = i / outputs, o = i % outputs;
    y[i] = bias[o];
    for (std::size_t f = 0; f < features; ++f) y[i] += weight[o * features + f] * x[image * features + f];
  }
  return y;
}

std::vector<double> head_backward(std::span<const double> x, std::span<const double> weight,
                                  std::span<const double> grad_y, std::span<double> grad_weight,
                                  std::span<double> grad_bias) {
  const std::size_t outputs = grad_bias.size(), features = weight.size() / outputs;
  std::vector<double> grad_x(x.size());
  for (std::size_t i = 0; i < grad_y.size(); ++i) {
    const std::size_t image = i / outputs, o = i % outputs;
    grad_bias[o] += grad_y[i];
    for (std::size_t f = 0; f < features; ++f) {
      grad_weight[o * features + f] += grad_y[i] * x[image * features + f];
      grad_x[image * features + f] += grad_y[i] * weight[o * features + f];
    }
  }
  return grad_x;
}

// -y log(s) - (1-y) log(1-s) with s = 1/(1 + e^-z), rearranged so that no exponential overflows.
double bce_with_logits(double logit, double label) {
  return std::max(logit, 0.0) - logit * label + std::log1p(std::exp(-std::abs(logit)));
}

double bce_with_logits_derivative(double logit, double label) { return 1.0 / (1.0 + std::exp(-logit)) - label; }

namespace {

// log of the sum of e^y, the largest taken out so that no exponential overflows.
double log_sum_exp(std::span<const double> y) {
  const double largest = std::ranges::max(y);
  double sum = 0;
  for (const double value : y) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

}  // namespace

double softmax_cross_entropy(std::span<const double> y, std::size_t label) { return log_sum_exp(y) - y[label]; }

double softmax_cross_entropy_derivative(std::span<const double> y, std::size_t label, std::size_t o) {
  return std::exp(y[o] - log_sum_exp(y)) - (o == label ? 1.0 : 0.0);
}

}  // namespace lfm::reference
