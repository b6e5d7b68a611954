// Top-k pooling and the head, for inference.
#pragma once

#include "kernels/target.h"
#include "kernels/topk_pool.h"

namespace lfm::kernels::inline LFM_TARGET {

/// maps [n][channels][area], weight [channels*k], bias [1] -> features [n][channels*k] as topk_pool's values, logits
/// [n] = bias + features . weight. 1 <= k <= min(area, 128). The score is the logit's sigmoid, after the model's
/// calibration, on the host.
void pool_head(float* logits, float* features, const float* maps, const float* weight, const float* bias, int n,
               int channels, int area, int k, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
