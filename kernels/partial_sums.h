// The second phase of every large sum: what blocks left side by side is added in their order, so the bits never change.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// sum[i] = (accumulate ? sum[i] : 0) + the sum over slices of partials[slice][i], for i < count; added in double.
void sum_partials(float* sum, const float* partials, int slices, int count, bool accumulate, Stream stream);

/// Into how many slices, `most` of them, a sum is cut, so that the whole grid has enough blocks (`tiles` a slice) to
/// fill a GPU.
constexpr int slices_for(std::int64_t most, int tiles) {
  constexpr int blocks = 256;
  const std::int64_t wanted = blocks / tiles > 1 ? blocks / tiles : 1;
  return static_cast<int>(wanted < most ? wanted : most);
}

/// The same of positions, at least 64 a slice.
constexpr int position_slices(std::int64_t positions, int tiles) { return slices_for((positions + 63) / 64, tiles); }

}  // namespace lfm::kernels::inline LFM_TARGET
