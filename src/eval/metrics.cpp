#include "src/eval/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace lfm {
namespace {

double share(std::size_t part, std::size_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(part) / static_cast<double>(whole);
}

std::vector<std::size_t> descending(std::span<const float> scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  return order;
}

}  // namespace

double average_precision(std::span<const float> scores, std::span<const std::uint8_t> labels) {
  const std::vector<std::size_t> order = descending(scores);
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

double roc_auc(std::span<const float> scores, std::span<const std::uint8_t> labels) {
  const std::vector<std::size_t> order = descending(scores);
  const auto fakes = static_cast<std::size_t>(std::ranges::count(labels, std::uint8_t{1}));
  const std::size_t reals = labels.size() - fakes;
  double pairs = 0;  // won by the fake
  std::size_t fakes_above = 0;
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    std::size_t tied_fakes = 0;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end) tied_fakes += labels[order[end]];
    const std::size_t tied_reals = end - begin - tied_fakes;
    pairs +=
        static_cast<double>(tied_reals) * (static_cast<double>(fakes_above) + 0.5 * static_cast<double>(tied_fakes));
    fakes_above += tied_fakes;
  }
  if (fakes == 0 || reals == 0) return std::numeric_limits<double>::quiet_NaN();
  return pairs / (static_cast<double>(fakes) * static_cast<double>(reals));
}

BestThreshold best_threshold(std::span<const float> scores, std::span<const std::uint8_t> labels) {
  const std::vector<std::size_t> order = descending(scores);
  const auto fakes = static_cast<std::size_t>(std::ranges::count(labels, std::uint8_t{1}));
  const std::size_t reals = labels.size() - fakes;
  BestThreshold best;
  if (fakes == 0 || reals == 0) return {0, std::numeric_limits<double>::quiet_NaN()};

  // Nothing is called fake; then, one score after the other, what has it.
  best = {scores[order[0]], 0.5};
  std::size_t called_fakes = 0, called_reals = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    (labels[order[i]] == 1 ? called_fakes : called_reals) += 1;
    const float score = scores[order[i]];
    const bool last = i + 1 == order.size();
    if (!last && scores[order[i + 1]] == score) continue;
    const double balanced = 0.5 * (share(called_fakes, fakes) + share(reals - called_reals, reals));
    if (balanced < best.balanced_accuracy) continue;
    const float below = last ? std::nextafter(score, -std::numeric_limits<float>::infinity()) : scores[order[i + 1]];
    const float middle = below + (score - below) / 2;
    best = {middle < score ? middle : below, balanced};
  }
  return best;
}

double expected_calibration_error(std::span<const float> probabilities, std::span<const std::uint8_t> labels) {
  constexpr std::size_t bins = 10;
  std::array<double, bins> surplus{};  // sum of probabilities less the number of fakes
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    const double p = probabilities[i];
    surplus[std::min(static_cast<std::size_t>(p * bins), bins - 1)] += p - labels[i];
  }
  if (probabilities.empty()) return std::numeric_limits<double>::quiet_NaN();
  double error = 0;
  for (const double s : surplus) error += std::abs(s);
  return error / static_cast<double>(probabilities.size());
}

}  // namespace lfm
