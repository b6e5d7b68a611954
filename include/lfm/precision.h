// The arithmetic that inference runs in.
#pragma once

namespace lfm {

/// What the convolutions multiply; sums are always FP32. Which of these there are depends on the device: others are
/// refused.
enum class Precision {
  automatic,  ///< what suits the device; FP32 on CPUs
  fp32,
  tf32,  ///< FP32 rounded to 10 bits of mantissa: tensor cores
  fp16,  ///< 10 bits of mantissa, 5 of exponent
  bf16,  ///< 7 bits of mantissa, FP32's range
};

}  // namespace lfm
