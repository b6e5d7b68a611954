// The convolutions of padded_conv.h on tensor cores.
#pragma once

#include "kernels/element.h"
#include "kernels/padded_conv.h"

namespace lfm::kernels::inline LFM_TARGET {

/// T: Half; Bfloat16 and Tf32 from compute capability 8.0 on. The weight is packed by pack_padded_conv
/// (src/engine/cuda/tensor_pack.h). ic a multiple of 32 halves or 16 TF32, oc of 64, arrays aligned to 16 bytes. Sums,
/// bias and ReLU in FP32, rounded once.
template <typename T>
void padded_conv_tensor(const PaddedConv<T>& conv, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
