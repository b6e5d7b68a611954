// The whole network, forward and backward, written once for every engine.
#pragma once

#include <span>

#include "src/engine/engine.h"

namespace lfm {

/// Logits of n images [n]; with features non-empty also the head's inputs [n][feature_count], with maps non-empty also what was pooled,
/// [n][64][rows][columns]. Makes room by itself and cuts the batch into the engine's chunks.
void infer(Engine& engine, const Architecture& architecture, const PixelBatch& batch, std::span<float> logits,
           std::span<float> features = {}, std::span<float> maps = {});

struct TrainingBatch {
  PixelBatch pixels;
  std::span<const std::uint8_t> labels;  ///< [n], 1 = fake
};

/// Forward and backward of one micro-batch: gradients are left in the engine.
TrainingResult forward_backward(Engine& engine, const TrainingBatch& batch, const TrainingOptions& options,
                                const DrawKey& key, float loss_scale, GradientMode mode,
                                const InjectedDraws& injected = {});

}  // namespace lfm
