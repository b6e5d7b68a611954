#include "src/engine/cuda/precisions.h"

#include <fmt/core.h>

#include "src/engine/precision.h"

namespace lfm {

bool multiplies(const CudaDevice& device, Precision precision) {
  return device.major >= 8 || (precision != Precision::tf32 && precision != Precision::bf16);
}

EnginePrecisions engine_precisions(const CudaDevice& device, Precision inference, Precision training) {
  if (!multiplies(device, inference)) require_precision(inference, device.name, {Precision::fp32, Precision::fp16});
  EnginePrecisions chosen{inference == Precision::automatic ? Precision::fp16 : inference, training, {}};
  if (!multiplies(device, training)) {
    chosen.training = Precision::fp32;
    chosen.note = fmt::format("{} can't train in {}: training in fp32", device.name, precision_name(training));
  }
  return chosen;
}

}  // namespace lfm
