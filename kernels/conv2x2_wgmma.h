// The 2x2 convolution of blocks 2 and 3 by Hopper's warpgroup products, with bias, ReLU and pooling.
#pragma once

#include "kernels/conv2x2_tensor.h"

namespace lfm::kernels::inline LFM_TARGET {

/// What conv2x2_tensor computes, from weights packed by pack_wgmma_conv (src/engine/cuda/tensor_pack.h). Compiled for
/// compute capability 9.0 alone (sm_90a); elsewhere the launch throws Error{device}.
template <typename T>
void conv2x2_wgmma(const Conv2x2Tensor<T>& conv, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
