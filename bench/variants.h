// The parts of kernel_variants.h, once for each target.
#pragma once

#include "bench/kernel_timer.h"
#if !defined(LFM_TARGET_EMULATED)
#include <optional>

#include "src/engine/cuda/cublas.h"
#include "src/engine/cuda/cudnn.h"
#include "src/engine/cuda/plan.h"
#endif

namespace lfm::bench::inline LFM_TARGET {

#if defined(LFM_TARGET_EMULATED)

/// There are none on the emulated device.
struct Libraries {};

#else

/// A library, or why it can't be timed.
template <typename Library>
struct OptionalLibrary {
  std::optional<Library> library;
  std::string missing;

  OptionalLibrary() {
    try {
      library.emplace();
    } catch (const Error& error) {
      missing = error.what();
    }
  }
};

struct Libraries {
  OptionalLibrary<Cudnn> cudnn;
  OptionalLibrary<Cublas> cublas;
};

/// A row of a library's; what it does not support costs that row alone. Takes the workspace itself.
template <typename Plan, typename Library, typename Problem, typename Arrays>
void time_library(KernelTimer& timer, Library& library, const Problem& problem, Arrays arrays,
                  const std::string& variant, const KernelWork& work) {
  std::optional<Plan> plan;
  try {
    plan.emplace(library, problem, kLibraryWorkspace);
    arrays.workspace = timer.array<std::uint8_t>(std::max(1.0, static_cast<double>(plan->workspace())));
  } catch (const Error& error) {
    return timer.fail(variant, work, problem.precision, error.what());
  }
  timer.time(variant, work, problem.precision, [&](kernels::Stream stream) { plan->launch(arrays, stream); });
}

#endif

void time_inference_kernels(KernelTimer& timer, Libraries& libraries, int batch, int size);
void time_training_kernels(KernelTimer& timer, Libraries& libraries, int batch, int size);

}  // namespace lfm::bench::inline LFM_TARGET
