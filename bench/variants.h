// The parts of kernel_variants.h, once for each target.
#pragma once

#include "bench/kernel_timer.h"
#if !defined(LFM_TARGET_EMULATED)
#include "bench/library_kernels.h"
#endif

namespace lfm::bench::inline LFM_TARGET {

#if defined(LFM_TARGET_EMULATED)

/// There are none on the emulated device.
struct Libraries {};

#else

struct Libraries {
  CudnnConvolution cudnn;
  CublasProduct cublas;
};

/// A row of cuDNN's; a convolution that it does not support costs that row alone. Takes the workspace itself.
inline void time_cudnn(KernelTimer& timer, CudnnConvolution& cudnn, const CudnnConvolution::Problem& problem,
                       CudnnConvolution::Arrays arrays, const std::string& variant, const KernelWork& work) {
  try {
    const std::size_t bytes = cudnn.prepare(problem);
    arrays.workspace = timer.array<std::uint8_t>(std::max(1.0, static_cast<double>(bytes)));
  } catch (const Error& error) {
    return timer.fail(variant, work, problem.precision, error.what());
  }
  timer.time(variant, work, problem.precision, [&](kernels::Stream stream) { cudnn.launch(arrays, stream); });
}

#endif

void time_inference_kernels(KernelTimer& timer, Libraries& libraries, int batch, int size);
void time_training_kernels(KernelTimer& timer, Libraries& libraries, int batch, int size);

}  // namespace lfm::bench::inline LFM_TARGET
