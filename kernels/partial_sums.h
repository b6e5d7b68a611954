// The second phase of every large sum: what blocks left side by side is added in their order, so the bits never change.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// sum[i] = (accumulate ? sum[i] : 0) + the sum over slices of partials[slice][i], for i < count; added in double.
void sum_partials(float* sum, const float* partials, int slices, int count, bool accumulate, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
