// The linear layer that turns features into the logit.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// features [n][count], weight [outputs][count], bias [outputs] -> logits [n]. outputs: 1, or the 2 of a softmax, whose
/// logit is the second less the first.
void head(float* logits, const float* features, const float* weight, const float* bias, int n, int count, int outputs,
          Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
