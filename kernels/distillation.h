// The distance to a teacher (src/engine/engine.h, Distillation) and its gradient. smooth(d) = d^2 / 2 where |d| < 1,
// else |d| - 1/2.
#pragma once

#include "kernels/target.h"

namespace lfm::kernels::inline LFM_TARGET {

/// Positions that a block of distill_maps takes, and so the partial sums that it leaves for each image.
inline constexpr int kDistillationTile = 32;
constexpr int distillation_tiles(int area) { return (area + kDistillationTile - 1) / kDistillationTile; }

/// With d = (maps - teacher) * scale[channel], maps and teacher [n][64][area], scale [64]:
///   partials [distillation_tiles(area)][n] = smooth(d), added over channels and a tile's positions
///   grad_maps [n][area][64] = weight * scale * the derivative of smooth(d): channels innermost, as the GEMMs read it
void distill_maps(float* grad_maps, float* partials, const float* maps, const float* teacher, const float* scale,
                  float weight, int n, int area, Stream stream);

/// The same from the definition: one thread a value for the gradient, one an image and tile for the sums.
void distill_maps_naive(float* grad_maps, float* partials, const float* maps, const float* teacher, const float* scale,
                        float weight, int n, int area, Stream stream);

/// distances[i] = smooth((logits[i] - teacher[i]) * scale[0]); grad_logits[i] += weight * scale[0] * its derivative.
void distill_logits(float* distances, float* grad_logits, const float* logits, const float* teacher, const float* scale,
                    float weight, int n, Stream stream);

}  // namespace lfm::kernels::inline LFM_TARGET
