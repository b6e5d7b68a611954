#include <algorithm>
#include <cmath>
#include <cstddef>

#include "src/engine/reference/operations.h"

namespace lfm::reference {

std::vector<double> head(std::span<const double> x, std::span<const double> weight, double bias) {
  std::vector<double> logits(x.size() / weight.size(), bias);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    for (std::size_t f = 0; f < weight.size(); ++f) logits[i] += weight[f] * x[i * weight.size() + f];
  }
  return logits;
}

std::vector<double> head_backward(std::span<const double> x, std::span<const double> weight,
                                  std::span<const double> grad_logits, std::span<double> grad_weight,
                                  double& grad_bias) {
  std::vector<double> grad_x(x.size());
  for (std::size_t i = 0; i < grad_logits.size(); ++i) {
    grad_bias += grad_logits[i];
    for (std::size_t f = 0; f < weight.size(); ++f) {
      grad_weight[f] += grad_logits[i] * x[i * weight.size() + f];
      grad_x[i * weight.size() + f] = grad_logits[i] * weight[f];
    }
  }
  return grad_x;
}

// -y log(s) - (1-y) log(1-s) with s = 1/(1 + e^-z), rearranged so that no exponential overflows.
double bce_with_logits(double logit, double label) {
  return std::max(logit, 0.0) - logit * label + std::log1p(std::exp(-std::abs(logit)));
}

double bce_with_logits_derivative(double logit, double label) { return 1.0 / (1.0 + std::exp(-logit)) - label; }

}  // namespace lfm::reference
