// Each operation's variants, from naive to tensor cores, on a GPU; and the same launches on the emulated device, so
// that they have run before they meet one.
#pragma once

#include <string>

#include "bench/roofline.h"
#include "src/engine/cuda/devices.h"
#include "src/report/measurement.h"

namespace lfm::bench {

/// A row for each variant, of inference and of training (on images of the training crop's size): the time of a launch,
/// TFLOP/s, GB/s and share of the bound of the GPU whose data sheet is given. cuDNN and cuBLAS stand beside them where
/// they are found; a case that they don't support is a row that says so. A precision that the device does not multiply
/// is left out, and a note says so. Throws Error{device} in a build without CUDA.
BenchReport time_kernel_variants(const Gpu& gpu, const CudaDevice& device, int batch, int size, int samples);

/// The same, each launch once, on the emulated device. Throws Error{usage} in a build without it.
BenchReport dry_run_kernel_variants(const Gpu& gpu, int batch, int size);

/// Two Markdown tables, inference and training, and the notes.
std::string kernel_tables(const BenchReport& report);

}  // namespace lfm::bench
