// Top-k pooling with RBLD and RKS in training (docs/METHOD.md, section 4), average pooling, and their backward.
//
// Of each map the k largest values, largest first, equal ones by lower position; RBLD zeroes some and scales the rest.
// The auxiliary vector holds the values at k drawn positions, sorted likewise. Backward, each value's gradient goes to
// the position it came from.
#pragma once

#include <cstdint>
#include <span>

#include "src/engine/cpu/thread_pool.h"
#include "src/engine/engine.h"

namespace lfm::cpu {

/// A micro-batch's selection. All arrays [n][channels][k], average pooling: features [n][channels] alone.
struct PooledMaps {
  float* features;         ///< branch A, after RBLD
  float* auxiliary;        ///< branch B
  float* factor;           ///< what RBLD multiplied a value by
  std::int32_t* position;  ///< of the selected values in their maps
  std::int32_t* drawn;     ///< of the auxiliary ones
};

struct PoolingPass {
  Architecture architecture;
  int n;
  int area;
  float* maps;  ///< [channels/64][n][area][64]
  PooledMaps pooled;

  std::size_t channels() const { return static_cast<std::size_t>(map_channels(architecture)); }
  /// Where a map begins in maps, or in a gradient of them; its values lie 64 floats apart.
  std::size_t map_at(std::size_t image, std::size_t c) const {
    return ((c / kMapChannels * static_cast<std::size_t>(n) + image) * static_cast<std::size_t>(area)) * kMapChannels +
           c % kMapChannels;
  }
};

void pool_forward(ThreadPool& threads, const PoolingPass& pass, const TrainingOptions& options, const DrawKey& key,
                  const InjectedDraws& injected);

/// grad_maps, laid out as maps, from the logits' gradients [n] (b: empty without RKS) and the head's weights
/// [features].
void pool_backward(ThreadPool& threads, const PoolingPass& pass, std::span<const double> grad_logits_a,
                   std::span<const double> grad_logits_b, std::span<const double> weight, GradientMode mode,
                   float* grad_maps);

}  // namespace lfm::cpu
