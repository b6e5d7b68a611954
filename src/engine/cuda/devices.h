// Which NVIDIA GPUs this process can use. Safe to call on a machine with neither GPU nor driver, and in a build without
// CUDA.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lfm {

struct CudaDevice {
  int ordinal = 0;  ///< the N of cuda:N
  std::string name;
  int major = 0;  ///< compute capability
  int minor = 0;
  std::size_t memory_bytes = 0;
};

struct CudaDevices {
  std::vector<CudaDevice> devices;
  std::string reason;  ///< why there are none; empty if there are
};

bool built_with_cuda();
CudaDevices cuda_devices();

/// What a profiler that waits for the CUDA profiler API sees lies between these; nothing without CUDA.
void start_profiler();
void stop_profiler();

}  // namespace lfm
