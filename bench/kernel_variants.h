// Each operation's variants, from naive to tensor cores, on a GPU; and the same launches on the emulated device, so that they have run before they
// meet one.
#pragma once

#include <string>

#include "bench/roofline.h"
#include "src/engine/cuda/devices.h"

namespace lfm::bench {

/// Two Markdown tables, of inference and of training (on images of the training crop's size): microseconds a launch (median), TFLOP/s, GB/s and
/// share of the bound for the GPU whose data sheet is given. cuDNN and cuBLAS stand beside them where they are found; a precision that the device does not
/// multiply is left out, and a line says so. Throws Error{device} in a build without CUDA.
std::string time_kernel_variants(const Gpu& gpu, const CudaDevice& device, int batch, int size, int iterations);

/// The same, each launch once, on the emulated device. Throws Error{usage} in a build without it.
std::string dry_run_kernel_variants(const Gpu& gpu, int batch, int size);

}  // namespace lfm::bench
