// The inference weights as the kernels of each precision read them.
#pragma once

#include <cstddef>
#include <span>

#include "src/engine/cuda/plan.h"

namespace lfm {

/// Folds (model/fold.h), rounds and packs the parameters into `memory`, of plan.arena.bytes. values: laid out by the
/// parameter table.
void pack_weights(std::byte* memory, const WeightPlan& plan, const Architecture& architecture,
                  std::span<const float> values);

}  // namespace lfm
