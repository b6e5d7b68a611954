// A build without CUDA: stands in for devices.cpp and the CUDA engine.
#include "lfm/error.h"
#include "src/engine/cuda/devices.h"
#include "src/engine/engine.h"

namespace lfm {

bool built_with_cuda() { return false; }

CudaDevices cuda_devices() { return {{}, "this build has no CUDA engine (configure with -DLFM_CUDA=ON)"}; }

void start_profiler() {}
void stop_profiler() {}

// NOLINTNEXTLINE(performance-unnecessary-value-param): one signature with the build that has an engine
std::unique_ptr<Engine> make_cuda_engine(int, Precision, std::function<void(const std::string&)>, Precision,
                                         const Providers&) {
  throw Error(
      ErrorCode::device,
      "this build has no CUDA engine; use --device cpu, or build with the CUDA toolkit installed (-DLFM_CUDA=ON)");
}

}  // namespace lfm
