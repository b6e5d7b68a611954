// Each operation's variants, from naive to tensor cores, on the GPU.
#pragma once

#include <string>

#include "bench/roofline.h"

namespace lfm::bench {

/// cuDNN and cuBLAS stand beside them where they are found. A Markdown table: microseconds a launch by CUDA events (median), TFLOP/s, GB/s and share of the bound for the GPU whose data sheet is
/// given. Throws Error{device} in a build without CUDA.
std::string time_kernel_variants(const Gpu& gpu, int batch, int size, int iterations);

}  // namespace lfm::bench
