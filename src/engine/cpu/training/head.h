// The shared linear head and the loss of both branches (docs/METHOD.md, section 5):
//
//     z = w . x + b       L = loss_scale * [ sum BCE(z_A, y) + alpha * sum BCE(z_B, y) ]
//     BCE(z, y) = max(z, 0) - z y + log(1 + e^-|z|),  stable for any z;    dBCE/dz = sigmoid(z) - y
//
// A head of two outputs computes the same with w = w_1 - w_0 and b = b_1 - b_0 (LinearHead), since the cross-entropy of
// their softmax is BCE of their difference; the gradient of w_1 is that of w, of w_0 its negative.
//
// A few thousand numbers: plain loops in double precision.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "src/engine/engine.h"

namespace lfm::cpu {

/// One branch: features [n][f], and after head_forward its logits, loss and the loss's gradient.
struct Branch {
  const float* features = nullptr;
  std::vector<float> logits;
  std::vector<double> grad_logits;
  double loss = 0;
};

/// weight: of the branch's loss, loss_scale included.
void head_forward(Branch& branch, const LinearHead& head, std::span<const std::uint8_t> labels, double weight);

/// Adds the branches' gradients of the head's weights [outputs][features] and biases [outputs], in their order.
void head_backward(std::span<const Branch* const> branches, std::span<float> grad_w, std::span<float> grad_bias,
                   GradientMode mode);

}  // namespace lfm::cpu
