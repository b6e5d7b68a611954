// In place of the targets that this build lacks.
#include "bench/ceilings.h"
#include "bench/kernel_variants.h"
#include "lfm/error.h"

namespace lfm::bench {

#if !defined(LFM_VARIANTS_CUDA)
BenchReport time_kernel_variants(const Gpu&, const CudaDevice&, int, int, int) {
  throw Error(ErrorCode::device, "this build has no CUDA kernels to time");
}
BenchReport time_ceilings(const Gpu&, const CudaDevice&, int) {
  throw Error(ErrorCode::device, "this build has no CUDA kernels to time");
}
#endif

#if !defined(LFM_VARIANTS_EMULATED)
BenchReport dry_run_kernel_variants(const Gpu&, int, int) {
  throw Error(ErrorCode::usage, "this build has no emulated device: configure it with -DLFM_EMULATION=ON");
}
BenchReport dry_run_ceilings(const Gpu&) {
  throw Error(ErrorCode::usage, "this build has no emulated device: configure it with -DLFM_EMULATION=ON");
}
#endif

}  // namespace lfm::bench
