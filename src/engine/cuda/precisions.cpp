#include "src/engine/cuda/precisions.h"

#include <fmt/core.h>

#include "src/engine/cuda/recipe.h"
#include "src/engine/precision.h"

namespace lfm {

namespace {

int capability_of(const CudaDevice& device) { return 10 * device.major + device.minor; }

}  // namespace

bool multiplies(const CudaDevice& device, Precision precision) {
  return precision == Precision::automatic || multiplies(capability_of(device), precision);
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
