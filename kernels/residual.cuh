// The residual of a front end as a device functor, which every kernel that begins at pixels takes: npr.cu writes it to memory, first_block.cu
// and first_conv.cu compute it on the way. A new front end is a new functor. What its values depend on stands here for the kernels, and in
// src/model/front_end.h for the host.
//
// first_block.cu has room for five values of a 3x3 patch that begins at a cell: it is NPR's fast path, and the compiler refuses others. Those
// go from memory: the residual by a kernel like npr.cu's, then conv2x2_naive.
#pragma once

#include "kernels/device.cuh"

#if defined(__CUDACC__)
#define LFM_HOST_DEVICE __host__ __device__
#else
#define LFM_HOST_DEVICE
#endif

namespace lfm::kernels::inline LFM_TARGET {

/// |pixel - top-left pixel of its 2x2 cell|, per channel.
struct NprResidual {
  static constexpr int kCell = 2;  ///< side of the square of pixels that a value depends on, which begins at a multiple of it

  /// Whether the value is zero whatever the pixels, so that its products may be left out.
  static constexpr LFM_HOST_DEVICE bool is_zero(int y, int x) { return y % kCell == 0 && x % kCell == 0; }

  /// Of one channel at (y, x), an integer 0...255. pixel(y, x): the channel there, rows and columns counted from the beginning of a cell.
  template <typename Pixel>
  static __device__ __forceinline__ float at(Pixel pixel, int y, int x) {
    const int here = pixel(y, x);
    const int top_left = pixel(y & ~(kCell - 1), x & ~(kCell - 1));
    return static_cast<float>(here < top_left ? top_left - here : here - top_left);
  }

  /// The part of a side that whole cells cover.
  static constexpr LFM_HOST_DEVICE int whole_cells(int side) { return side & ~(kCell - 1); }
};

}  // namespace lfm::kernels::inline LFM_TARGET
