#include "src/engine/cpu/training/pooling.h"

#include <algorithm>
#include <cstddef>

#include "src/model/architecture.h"
#include "src/model/rbld.h"
#include "src/random/philox.h"

namespace lfm::cpu {
namespace {

constexpr std::size_t kStep = kMapChannels;  // from one value of a map to the next

/// One map's sorted list of the largest so far: values and positions, `size` of them.
struct Ranking {
  float* value;
  std::int32_t* position;
  int size = 0;

  bool before(float v, std::int32_t p, int rank) const {
    return v != value[rank] ? v > value[rank] : p < position[rank];
  }
  /// Keeps at most k; a later position never passes an equal value.
  void insert(float v, std::int32_t p, int k) {
    if (size == k) {
      if (!before(v, p, k - 1)) return;
    } else {
      ++size;
    }
    int rank = size - 1;
    for (; rank > 0 && before(v, p, rank - 1); --rank) {
      value[rank] = value[rank - 1];
      position[rank] = position[rank - 1];
    }
    value[rank] = v;
    position[rank] = p;
  }
};

void average_image(const PoolingPass& pass, std::size_t image) {
  const std::size_t area = static_cast<std::size_t>(pass.area);
  for (std::size_t c = 0; c < pass.channels(); ++c) {
    const float* map = pass.maps + pass.map_at(image, c);
    double sum = 0;
    for (std::size_t p = 0; p < area; ++p) sum += double{map[p * kStep]};
    pass.pooled.features[image * pass.channels() + c] = static_cast<float>(sum / pass.area);
  }
}

/// What one image draws.
struct ImageDraws {
  const TrainingOptions& options;
  const DrawKey& key;
  const InjectedDraws& injected;
  std::span<const float> drop, scale;
};

void pool_map(const PoolingPass& pass, const ImageDraws& draws, std::size_t image, std::size_t c) {
  const int k = pass.architecture.k;
  const std::size_t first = (image * pass.channels() + c) * static_cast<std::size_t>(k);
  const auto global = static_cast<std::uint32_t>(draws.key.first_image) + static_cast<std::uint32_t>(image);
  const float* map = pass.maps + pass.map_at(image, c);
  const PooledMaps& pooled = pass.pooled;

  Ranking largest{pooled.features + first, pooled.position + first};
  for (std::int32_t p = 0; p < pass.area; ++p) largest.insert(map[p * kStep], p, k);
  for (int rank = 0; rank < k; ++rank) {
    const std::size_t at = first + static_cast<std::size_t>(rank);
    bool keep = true;
    if (draws.options.rbld) {
      keep = draws.injected.rbld_keep
                 ? draws.injected.rbld_keep[at] != 0
                 : rbld_uniform(draws.key.seed, draws.key.step, global, static_cast<int>(c), rank) >= draws.drop[rank];
    }
    pooled.factor[at] = !draws.options.rbld ? 1.0f : keep ? draws.scale[rank] : 0.0f;
    pooled.features[at] *= pooled.factor[at];
  }

  if (!draws.options.rks) return;
  std::int32_t positions[kMaxTopK];
  if (draws.injected.rks_index) {
    std::copy_n(draws.injected.rks_index + first, k, positions);
  } else {
    rks_positions(draws.key.seed, draws.key.step, global, static_cast<int>(c), pass.area, k, positions);
  }
  Ranking drawn{pooled.auxiliary + first, pooled.drawn + first};
  for (int i = 0; i < k; ++i) drawn.insert(map[positions[i] * kStep], positions[i], k);
}

}  // namespace

void pool_forward(ThreadPool& threads, const PoolingPass& pass, const TrainingOptions& options, const DrawKey& key,
                  const InjectedDraws& injected) {
  if (pass.architecture.pooling == Pooling::average) {
    threads.run(pass.n, [&](int image, int) { average_image(pass, static_cast<std::size_t>(image)); });
    return;
  }
  const auto drop = rbld_drop_probabilities(options.p_min, options.p_max, pass.architecture.k);
  const auto scale = rbld_scales(options.p_min, options.p_max, pass.architecture.k, options.rbld_scale);
  const ImageDraws draws{options, key, injected, drop, scale};
  threads.run(pass.n, [&](int image, int) {
    for (std::size_t c = 0; c < pass.channels(); ++c) pool_map(pass, draws, static_cast<std::size_t>(image), c);
  });
}

void pool_backward(ThreadPool& threads, const PoolingPass& pass, std::span<const double> grad_logits_a,
                   std::span<const double> grad_logits_b, std::span<const double> weight, GradientMode mode,
                   float* grad_maps) {
  const std::size_t area = static_cast<std::size_t>(pass.area), k = static_cast<std::size_t>(pass.architecture.k);
  threads.run(pass.n, [&](int index, int) {
    const std::size_t image = static_cast<std::size_t>(index);
    for (std::size_t c = 0; mode == GradientMode::overwrite && c < pass.channels(); c += kStep)
      std::fill_n(grad_maps + pass.map_at(image, c), area * kStep, 0.0f);
    if (pass.architecture.pooling == Pooling::average) {
      for (std::size_t c = 0; c < pass.channels(); ++c) {
        const float grad = static_cast<float>(grad_logits_a[image] * weight[c] / pass.area);
        float* map = grad_maps + pass.map_at(image, c);
        for (std::size_t p = 0; p < area; ++p) map[p * kStep] += grad;
      }
      return;
    }
    for (std::size_t i = 0; i < pass.channels() * k; ++i) {
      const std::size_t at = image * pass.channels() * k + i;
      float* map = grad_maps + pass.map_at(image, i / k);
      const float a = static_cast<float>(grad_logits_a[image] * weight[i] * double{pass.pooled.factor[at]});
      map[static_cast<std::size_t>(pass.pooled.position[at]) * kStep] += a;
      if (grad_logits_b.empty()) continue;
      const float b = static_cast<float>(grad_logits_b[image] * weight[i]);
      map[static_cast<std::size_t>(pass.pooled.drawn[at]) * kStep] += b;
    }
  });
}

}  // namespace lfm::cpu
