// Global average pooling: the paper's ablation baseline for top-k pooling.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// maps [rows][area], one row per image and channel -> values [rows].
void average_pool(float* values, const float* maps, int rows, int area, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
