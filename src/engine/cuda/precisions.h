// What an engine on a GPU computes in, by the GPU's compute capability alone: no device is asked.
#pragma once

#include <string>

#include "kernels/element.h"
#include "lfm/precision.h"
#include "src/engine/cuda/devices.h"

namespace lfm {

/// Of kernels that multiply T.
template <typename T>
inline constexpr Precision kPrecisionOf = Precision::fp32;
template <>
inline constexpr Precision kPrecisionOf<kernels::Half> = Precision::fp16;
template <>
inline constexpr Precision kPrecisionOf<kernels::Bfloat16> = Precision::bf16;
template <>
inline constexpr Precision kPrecisionOf<kernels::Tf32> = Precision::tf32;

/// Whether the device's tensor cores multiply the precision: FP16 from compute capability 7.5 on, TF32 and BF16 from
/// 8.0 (where they don't, the kernels trap). FP32 needs none.
bool multiplies(const CudaDevice& device, Precision precision);

struct EnginePrecisions {
  Precision inference;  ///< not automatic
  Precision training;
  std::string note;  ///< for the user, where training is not what was asked for
};

/// inference: automatic is FP16. Throws Error{usage} for one that the device does not multiply. training: FP32 in its
/// place, since FP16's range is too small for gradients.
EnginePrecisions engine_precisions(const CudaDevice& device, Precision inference, Precision training);

}  // namespace lfm
