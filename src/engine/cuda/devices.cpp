#include "src/engine/cuda/devices.h"

#include <cuda_profiler_api.h>
#include <cuda_runtime_api.h>

#include "src/engine/cuda/recipe.h"

namespace lfm {

CudaDevices cuda_devices() {
  CudaDevices found;
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    cudaGetLastError();
    found.reason = cudaGetErrorString(error);
    return found;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    if (properties.major * 10 + properties.minor < kOldestCapability) {
      found.reason = std::string(properties.name) + " is older than compute capability 7.5";
      continue;
    }
    found.devices.push_back({i, properties.name, properties.major, properties.minor, properties.totalGlobalMem});
  }
  if (!found.devices.empty()) found.reason.clear();
  if (found.devices.empty() && found.reason.empty()) found.reason = "no CUDA device is visible";
  return found;
}

void start_profiler() { cudaProfilerStart(); }
void stop_profiler() { cudaProfilerStop(); }

bool built_with_cuda() { return true; }

}  // namespace lfm
