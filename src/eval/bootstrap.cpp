#include "src/eval/bootstrap.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "src/random/philox.h"

namespace lfm {
namespace {

/// The value below which a share q of the sorted values lies, interpolated between neighbours.
double percentile(std::span<const double> sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::vector<double> bootstrap_values(std::span<const float> scores, std::span<const std::uint8_t> labels,
                                     const Metric& metric, std::uint64_t seed, int resamples) {
  std::array<std::vector<float>, 2> of_label;
  for (std::size_t i = 0; i < scores.size(); ++i) of_label[labels[i] == 1].push_back(scores[i]);

  std::vector<float> drawn(scores.size());
  std::vector<double> values;
  for (int resample = 0; resample < resamples; ++resample) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const std::vector<float>& from = of_label[labels[i] == 1];
      const auto block =
          draw_block(seed, static_cast<std::uint64_t>(resample), static_cast<std::uint32_t>(i), Stream::bootstrap, 0);
      drawn[i] = from[uniform_below(block.word[0], static_cast<std::uint32_t>(from.size()))];
    }
    values.push_back(metric(drawn, labels));
  }
  return values;
}

Interval percentile_interval(std::vector<double> values) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  if (values.empty() || std::ranges::any_of(values, [](double v) { return std::isnan(v); })) return {nan, nan};
  std::ranges::sort(values);
  return {percentile(values, 0.025), percentile(values, 0.975)};
}

Interval bootstrap_interval(std::span<const float> scores, std::span<const std::uint8_t> labels, const Metric& metric,
                            std::uint64_t seed, int resamples) {
  return percentile_interval(bootstrap_values(scores, labels, metric, seed, resamples));
}

}  // namespace lfm
