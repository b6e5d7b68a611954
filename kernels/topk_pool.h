// Top-k pooling (docs/METHOD.md, section 4).
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kMaxListK = 128;

/// maps [rows][area], one row per image and channel -> values [rows][k], the k largest, descending, ties by lower
/// position; and, unless null, their positions [rows][k]. 1 <= k <= min(area, 128). NaN counts as the largest value, -0
/// as +0.
void topk_pool(float* values, std::int32_t* positions, const float* maps, int rows, int area, int k, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
