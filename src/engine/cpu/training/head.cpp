#include "src/engine/cpu/training/head.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "src/engine/cpu/training/batch_norm.h"

namespace lfm::cpu {

void head_forward(Branch& branch, const LinearHead& head, std::span<const std::uint8_t> labels, double weight) {
  const std::vector<double>& w = head.weight;
  branch.logits.resize(labels.size());
  branch.grad_logits.resize(labels.size());
  branch.loss = 0;
  const float* x = branch.features;
  for (std::size_t i = 0; i < labels.size(); ++i, x += w.size()) {
    double z = head.bias;
    for (std::size_t f = 0; f < w.size(); ++f) z += w[f] * double{x[f]};
    branch.logits[i] = static_cast<float>(z);
    branch.grad_logits[i] = 0;
    if (labels[i] == kUnlabelled) continue;
    const double y = labels[i];
    branch.loss += std::max(z, 0.0) - z * y + std::log1p(std::exp(-std::abs(z)));
    branch.grad_logits[i] = weight * (1.0 / (1.0 + std::exp(-z)) - y);
  }
}

void head_backward(std::span<const Branch* const> branches, std::span<float> grad_w, std::span<float> grad_bias,
                   GradientMode mode) {
  const std::size_t outputs = grad_bias.size(), features = grad_w.size() / outputs;
  const auto store = [&](std::span<float> grad, std::size_t at, double sum) {
    if (outputs == 2) store_gradient(grad[at], -sum, mode);
    store_gradient(grad[(outputs - 1) * (grad.size() / outputs) + at], sum, mode);
  };
  double bias = 0;
  for (const Branch* branch : branches) {
    for (const double g : branch->grad_logits) bias += g;
  }
  store(grad_bias, 0, bias);
  for (std::size_t f = 0; f < features; ++f) {
    double sum = 0;
    for (const Branch* branch : branches) {
      for (std::size_t i = 0; i < branch->grad_logits.size(); ++i) {
        sum += branch->grad_logits[i] * double{branch->features[i * features + f]};
      }
    }
    store(grad_w, f, sum);
  }
}

}  // namespace lfm::cpu
