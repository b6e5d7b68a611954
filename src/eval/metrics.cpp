#include "src/eval/metrics.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace lfm {
namespace {

double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

double average_precision(std::span<const float> scores, std::span<const std::uint8_t> labels) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  const auto positives = static_cast<std::size_t>(std::ranges::count(labels, std::uint8_t{1}));
  if (positives == 0) return std::numeric_limits<double>::quiet_NaN();

  double ap = 0;
  std::size_t found = 0, found_before = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    found += labels[order[i]];
    const bool last_of_its_score = i + 1 == order.size() || scores[order[i + 1]] != scores[order[i]];
    if (!last_of_its_score) continue;
    const double precision = share(found, i + 1);
    ap += share(found - found_before, positives) * precision;
    found_before = found;
  }
  return ap;
}

Metrics compute_metrics(std::span<const float> scores, std::span<const std::uint8_t> labels, float threshold) {
  Metrics metrics;
  std::size_t right_reals = 0, right_fakes = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const bool called_fake = scores[i] > threshold;
    if (labels[i] == 1) {
      ++metrics.fakes;
      right_fakes += called_fake;
    } else {
      ++metrics.reals;
      right_reals += !called_fake;
    }
  }
  metrics.accuracy = share(right_reals + right_fakes, scores.size());
  metrics.real_accuracy = share(right_reals, metrics.reals);
  metrics.fake_accuracy = share(right_fakes, metrics.fakes);
  metrics.ap = average_precision(scores, labels);
  return metrics;
}

}  // namespace lfm
