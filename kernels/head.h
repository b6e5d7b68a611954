// The linear layer that turns features into the logit.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// features [n][count], weight [count], bias [1] -> logits [n].
void head(float* logits, const float* features, const float* weight, const float* bias, int n, int count,
          Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
