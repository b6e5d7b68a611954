#include "src/engine/cpu/training/distillation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "src/model/architecture.h"

namespace lfm::cpu {
namespace {

constexpr std::size_t kMaps = kMapChannels;

double smooth_l1(double difference) {
  const double size = std::abs(difference);
  return size < 1 ? 0.5 * size * size : size - 0.5;
}

}  // namespace

double map_distance(ThreadPool& threads, int n, int area, const float* maps, const Distillation& teacher,
                    float* grad_maps) {
  const std::size_t positions = static_cast<std::size_t>(area), values = kMaps * positions;  // of an image
  const double share = 1.0 / static_cast<double>(values);
  std::vector<double> distances(static_cast<std::size_t>(n));
  threads.run(n, [&](int index, int) {
    const std::size_t image = static_cast<std::size_t>(index), first = image * values;
    double sum = 0;
    for (std::size_t p = 0; p < positions; ++p) {
      for (std::size_t c = 0; c < kMaps; ++c) {
        const std::size_t at = first + p * kMaps + c;
        const double scale = double{teacher.scale[c]};
        const double difference = (double{maps[at]} - double{teacher.maps[first + c * positions + p]}) * scale;
        sum += smooth_l1(difference);
        grad_maps[at] = static_cast<float>(double{teacher.weight} * share * scale * std::clamp(difference, -1.0, 1.0));
      }
    }
    distances[image] = sum * share;
  });
  double total = 0;
  for (const double distance : distances) total += distance;
  return total;
}

double logit_distance(Branch& branch, const Distillation& teacher) {
  const double scale = double{teacher.scale[kMaps]};
  double total = 0;
  for (std::size_t i = 0; i < branch.logits.size(); ++i) {
    const double difference = (double{branch.logits[i]} - double{teacher.logits[i]}) * scale;
    total += smooth_l1(difference);
    branch.grad_logits[i] += double{teacher.weight} * scale * std::clamp(difference, -1.0, 1.0);
  }
  return total;
}

}  // namespace lfm::cpu
