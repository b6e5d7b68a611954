// The stages of an inference pass as kernels, in each precision.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/target.h"
#include "src/engine/cuda/plan.h"

namespace lfm::inline LFM_TARGET {

/// Where a pass finds its buffers. The plans and memory outlive the work it launches.
struct InferencePass {
  const InferencePlan* plan = nullptr;
  std::byte* arena = nullptr;
  const WeightPlan* weight_plan = nullptr;
  std::byte* weights = nullptr;
  Architecture architecture;
  int n = 0;                             ///< images, at most the plan's
  const std::uint8_t* pixels = nullptr;  ///< on the device, [n][height][width][3]
};

inline constexpr int kInferenceStages = 6;

/// 0: first block, 1, 2: blocks, 3: last block and 1x1, 4: pooling, 5: head. Some are fused with the one before and launch nothing. Never waits.
void launch_stage(const InferencePass& pass, int stage, kernels::Stream stream);

/// For people who profile: "block 2".
const char* stage_name(int stage);

}  // namespace lfm::inline LFM_TARGET
