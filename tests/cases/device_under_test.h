// The device that a test was built for (kernels/target.h): emulated, or a GPU that may be missing or too old.
#pragma once

#include <cstdlib>
#include <string>

#include "lfm/precision.h"
#include "src/engine/precision.h"
#include "tests/catch.h"
#if !defined(LFM_TARGET_EMULATED)
#include "src/engine/cuda/precisions.h"
#endif

namespace lfm {

/// For TEST_CASE_FOR_EACH.
inline std::string case_name(Precision precision) { return std::string(precision_name(precision)); }

namespace cases {

/// Skips the test where the device is missing or doesn't run kernels of the precision. With LFM_REQUIRE naming the
/// device, fails where it is missing.
inline void skip_unless_device_runs([[maybe_unused]] Precision precision) {
#if !defined(LFM_TARGET_EMULATED)
  const CudaDevices found = cuda_devices();
  if (found.devices.empty()) {
    const char* required = std::getenv("LFM_REQUIRE");
    if (required && std::string(required).find("cuda") != std::string::npos) FAIL("LFM_REQUIRE=cuda: " << found.reason);
    SKIP("no CUDA device: " << found.reason);
  }
  if (!multiplies(found.devices.front(), precision)) {
    SKIP("the tensor cores of a " << found.devices.front().name << " don't multiply " << precision_name(precision));
  }
#endif
}

}  // namespace cases
}  // namespace lfm
