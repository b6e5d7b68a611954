// What a GPU reaches at all, measured: what the kernels' shares should be read against.
#pragma once

#include "bench/roofline.h"
#include "src/engine/cuda/devices.h"
#include "src/report/measurement.h"

namespace lfm::bench {

/// Copies within the device and from and to the host; fused multiply-adds; matrix products of each precision, by cuBLAS
/// and by mma.sync alone. share_of_bound is that of the data sheet's peak. A library that is missing costs its rows,
/// and a note says so. Throws Error{device} in a build without CUDA.
BenchReport time_ceilings(const Gpu& gpu, const CudaDevice& device, int samples);

/// The same launches, once and small, on the emulated device. Throws Error{usage} in a build without it.
BenchReport dry_run_ceilings(const Gpu& gpu);

}  // namespace lfm::bench
