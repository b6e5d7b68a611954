// The CUDA engine on the device that a test was built for (kernels/target.h): the emulated one, or a GPU, without which
// the tests skip.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "src/engine/cuda/cuda_engine.h"
#include "tests/cases/device_under_test.h"
#include "tests/catch.h"

namespace lfm {

/// order: the seed of the order in which the emulated device's streams take turns; a GPU has an order of its own.
inline CudaEngine engine_under_test([[maybe_unused]] int order = 0, Precision precision = Precision::fp32,
                                    std::function<void(const std::string&)> note = {},
                                    Precision training = Precision::fp32) {
#if defined(LFM_TARGET_EMULATED)
  return CudaEngine(order, "emulated", precision, std::move(note), training);
#else
  return CudaEngine(0, "GPU", precision, std::move(note), training);
#endif
}

/// Skips where there is no GPU to test; fails there with LFM_REQUIRE=cuda.
class CudaEngineTest {
 protected:
  CudaEngineTest() { cases::skip_unless_device_runs(Precision::fp32); }
};

}  // namespace lfm
