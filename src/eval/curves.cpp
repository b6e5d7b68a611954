#include "src/eval/curves.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace lfm {

std::vector<OperatingPoint> operating_points(std::span<const float> scores, std::span<const std::uint8_t> labels) {
  const auto fakes = static_cast<double>(std::ranges::count(labels, std::uint8_t{1}));
  const double reals = static_cast<double>(labels.size()) - fakes;
  if (fakes == 0 || reals == 0) return {};
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<OperatingPoint> points = {{}};
  double called_fakes = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    called_fakes += labels[order[i]];
    if (i + 1 < order.size() && scores[order[i + 1]] == scores[order[i]]) continue;
    const auto called = static_cast<double>(i + 1);
    points.push_back({(called - called_fakes) / reals, called_fakes / fakes, called_fakes / called});
  }
  return points;
}

}  // namespace lfm
