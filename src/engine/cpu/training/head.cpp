#include "src/engine/cpu/training/head.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "src/engine/cpu/training/batch_norm.h"

namespace lfm::cpu {

void head_forward(Branch& branch, std::span<const float> w, float bias, std::span<const std::uint8_t> labels,
                  double weight) {
  branch.logits.resize(labels.size());
  branch.grad_logits.resize(labels.size());
  branch.loss = 0;
  const float* x = branch.features;
  for (std::size_t i = 0; i < labels.size(); ++i, x += w.size()) {
    double z = double{bias};
    for (std::size_t f = 0; f < w.size(); ++f) z += double{w[f]} * double{x[f]};
    branch.logits[i] = static_cast<float>(z);
    branch.grad_logits[i] = 0;
    if (labels[i] == kUnlabelled) continue;
    const double y = labels[i];
    branch.loss += std::max(z, 0.0) - z * y + std::log1p(std::exp(-std::abs(z)));
    branch.grad_logits[i] = weight * (1.0 / (1.0 + std::exp(-z)) - y);
  }
}

void head_backward(std::span<const Branch* const> branches, std::span<float> grad_w, float& grad_bias,
                   GradientMode mode) {
  double bias = 0;
  for (const Branch* branch : branches) {
    for (const double g : branch->grad_logits) bias += g;
  }
  store_gradient(grad_bias, bias, mode);
  for (std::size_t f = 0; f < grad_w.size(); ++f) {
    double sum = 0;
    for (const Branch* branch : branches) {
      for (std::size_t i = 0; i < branch->grad_logits.size(); ++i) {
        sum += branch->grad_logits[i] * double{branch->features[i * grad_w.size() + f]};
      }
    }
    store_gradient(grad_w[f], sum, mode);
  }
}

}  // namespace lfm::cpu
