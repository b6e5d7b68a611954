// The stages of the ResNet trunk (model/resnet.h) as kernels.
#pragma once

#include "src/engine/cuda/inference.h"

namespace lfm::inline LFM_TARGET {

/// Launches the stem, or a bottleneck. Never waits.
void launch_resnet(const InferencePass& pass, const Stage& stage, kernels::Stream stream);

}  // namespace lfm::inline LFM_TARGET
