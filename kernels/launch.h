// How a launcher starts its kernel, on either target; the only place with <<<>>>. Included by .cu files alone.
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
  kernel<<<dim3(how.blocks.x, how.blocks.y, how.blocks.z), how.threads, 0, reinterpret_cast<cudaStream_t>(stream)>>>(
      arguments...);
  if (const cudaError_t error = cudaGetLastError(); error != cudaSuccess) {
    throw Error(ErrorCode::device, std::string("kernel ") + how.kernel + ": " + cudaGetErrorString(error));
  }
#else
  const auto run = [how, kernel, values = std::tuple<Parameters...>(arguments...)] {
    const auto call = std::tie(kernel, values);
    simt::run_grid(
        {how.kernel, {how.blocks.x, how.blocks.y, how.blocks.z}, {how.threads, 1, 1}, how.synchronises},
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
