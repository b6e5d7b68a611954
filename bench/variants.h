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

#endif

void time_inference_kernels(KernelTimer& timer, Libraries& libraries, int batch, int size);
void time_training_kernels(KernelTimer& timer, Libraries& libraries, int batch, int size);

}  // namespace lfm::bench::inline LFM_TARGET
