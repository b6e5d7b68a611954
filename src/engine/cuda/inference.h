// The stages of an inference pass as kernels, in each precision.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/target.h"
#include "src/engine/cuda/plan.h"

namespace lfm::inline LFM_TARGET {

class LibraryStages;

/// Where a pass finds its buffers. The plans and memory outlive the work it launches.
struct InferencePass {
  const InferencePlan* plan = nullptr;
  std::byte* arena = nullptr;
  const WeightPlan* weight_plan = nullptr;
  std::byte* weights = nullptr;
  Architecture architecture;
  int n = 0;                                 ///< images, at most the plan's
  const std::uint8_t* pixels = nullptr;      ///< on the device, [n][height][width][3]
  const LibraryStages* libraries = nullptr;  ///< prepared for n images; null where all stages are the engine's own
};

/// Whether the precision computes the stage as part of another, and launches nothing for it.
bool is_fused(const InferencePass& pass, const Stage& stage);

/// Launches the stage's kernels. Never waits.
void launch_stage(const InferencePass& pass, const Stage& stage, kernels::Stream stream);

}  // namespace lfm::inline LFM_TARGET
