// How a launcher starts its kernel, on either target; the only place that does. Included by .cu files alone.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/target.h"
#include "lfm/error.h"
#if defined(__CUDACC__)
#include <cuda_runtime.h>
#else
#include <tuple>

#include "kernels/simt/grid.h"
#include "kernels/simt/queue.h"
#endif

namespace lfm::kernels::inline LFM_TARGET {

struct Blocks {
  unsigned x = 1;
  unsigned y = 1;
  unsigned z = 1;
};

struct Launch {
  const char* kernel;  ///< its name, for messages
  Blocks blocks;
  unsigned threads;  ///< per block
  bool synchronises =
      true;  ///< false: neither barriers nor warp operations, which the emulation runs faster (and checks)
  unsigned shared_bytes = 0;  ///< of dynamic_shared(), which may be more than the 48 KiB of shared arrays
  unsigned cluster = 1;       ///< consecutive blocks of a row that form a cluster; more than one from sm_90 on
};

inline constexpr int kMaxGridY = 65535;  // and z

template <typename A, typename B>
constexpr unsigned blocks_for(A items, B items_per_block) {
  return static_cast<unsigned>((static_cast<std::int64_t>(items) + items_per_block - 1) / items_per_block);
}

/// Launchers check what they are given: `condition` must hold, and `what` says so for people.
inline void require(bool condition, const char* what) {
  if (!condition) throw Error(ErrorCode::usage, what);
}

/// Starts the kernel; never waits for it. Throws Error{device} if the device refuses the launch.
template <typename... Parameters, typename... Arguments>
void launch(const Launch& how, Stream stream, void (*kernel)(Parameters...), Arguments... arguments) {
#if defined(__CUDACC__)
  const auto check = [&](cudaError_t error) {
    if (error == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // told here, and nowhere else
    throw Error(ErrorCode::device, std::string("kernel ") + how.kernel + ": " + cudaGetErrorString(error));
  };
  if (how.shared_bytes > 0) {
    check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(how.shared_bytes)));
  }
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim = {how.cluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(how.blocks.x, how.blocks.y, how.blocks.z);
  config.blockDim = dim3(how.threads);
  config.dynamicSmemBytes = how.shared_bytes;
  config.stream = reinterpret_cast<cudaStream_t>(stream);
  config.attrs = &cluster;
  config.numAttrs = how.cluster > 1 ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, arguments...));
#else
  const auto run = [how, kernel, values = std::tuple<Parameters...>(arguments...)] {
    const auto call = std::tie(kernel, values);
    simt::run_grid(
        {how.kernel,
         {how.blocks.x, how.blocks.y, how.blocks.z},
         {how.threads, 1, 1},
         how.synchronises,
         how.shared_bytes,
         how.cluster},
        [](const void* erased) {
          const auto& [function, parameters] = *static_cast<const decltype(call)*>(erased);
          std::apply(function, parameters);
        },
        &call);
  };
  if (stream) {
    reinterpret_cast<simt::Queue*>(stream)->enqueue(run);
  } else {
    run();
  }
#endif
}

}  // namespace lfm::kernels::inline LFM_TARGET
