// The loss on the logits of one branch, and the backward of the linear layer that both branches share.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// losses[i] = BCE(sigmoid(logits[i]), labels[i]), finite for any logit; grad_logits[i] = weight * its derivative.
/// Labels: src/model/label.h; both are 0 where there is none.
void bce_with_logits(float* losses, float* grad_logits, const float* logits, const std::uint8_t* labels, float weight,
                     int n, Stream stream);

/// One branch's share: features [n][count] with grad_logits [n].
/// grad_features [n][count] = grad_logits * weight; grad_weight [outputs][count] (+)= sum grad_logits * features;
/// grad_bias [outputs] (+)= sum grad_logits. outputs: as in head.h; the first of two gets the negative of the second.
void head_backward(float* grad_features, float* grad_weight, float* grad_bias, const float* features,
                   const float* weight, const float* grad_logits, int n, int count, int outputs, bool accumulate,
                   Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
