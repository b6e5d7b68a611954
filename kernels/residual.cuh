// Where the kernels that begin at a residual take it from: first_block.cu and first_conv.cu compute NPR's from pixels
// on the way, their fast path, and read any other from memory, where residual.cu has written it. What residuals are
// stands in src/model/residual.h.
//
// first_block.cu keeps five values of a 3x3 patch that begins at a cell where the corners are always zero, as NPR's
// are, else nine.
#pragma once

#include <cstdint>

#include "kernels/device.cuh"
#include "src/model/residual.h"

namespace lfm::kernels::inline LFM_TARGET {

/// From pixels.
struct FusedNpr : NprResidual {
  using Source = std::uint8_t;
};

/// From memory, [n][height][width][3].
struct StoredResidual {
  using Source = float;
  static constexpr LFM_HOST_DEVICE bool is_zero(int, int) { return false; }
  template <typename Pixel>
  static __device__ __forceinline__ float at(Pixel pixel, int y, int x) {
    return pixel(y, x);
  }
  static constexpr LFM_HOST_DEVICE int whole_cells(int side) { return side; }
};

/// What reads an array of that type.
template <typename Source>
struct ResidualFrom;
template <>
struct ResidualFrom<std::uint8_t> {
  using type = FusedNpr;
};
template <>
struct ResidualFrom<float> {
  using type = StoredResidual;
};

}  // namespace lfm::kernels::inline LFM_TARGET
