#include "src/eval/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "lfm/error.h"

namespace lfm {
namespace {

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// -target log p - (1 - target) log(1 - p) of p = sigmoid(z), without overflow.
double cross_entropy(double z, double target) {
  return std::max(z, 0.0) - z * target + std::log1p(std::exp(-std::abs(z)));
}

/// The convex problem: weights and targets of z = slope * logit + bias.
struct Problem {
  const WeightedLogits& data;
  std::array<double, 2> target;  ///< of a real, of a fake

  double loss(double slope, double bias) const {
    double sum = 0;
    for (std::size_t i = 0; i < data.logits.size(); ++i) {
      sum += data.weights[i] * cross_entropy(slope * data.logits[i] + bias, target[data.labels[i]]);
    }
    return sum;
  }
};

struct NewtonStep {
  double slope, bias;
};

NewtonStep newton_step(const Problem& problem, double slope, double bias) {
  double g_slope = 0, g_bias = 0, h_slope = 0, h_cross = 0, h_bias = 0;
  const WeightedLogits& data = problem.data;
  for (std::size_t i = 0; i < data.logits.size(); ++i) {
    const double x = data.logits[i], p = sigmoid(slope * x + bias), w = data.weights[i];
    const double gradient = w * (p - problem.target[data.labels[i]]), curvature = w * p * (1 - p);
    g_slope += gradient * x;
    g_bias += gradient;
    h_slope += curvature * x * x;
    h_cross += curvature * x;
    h_bias += curvature;
  }
  // A little of the identity keeps a flat Hessian invertible.
  h_slope += 1e-9;
  h_bias += 1e-9;
  const double determinant = h_slope * h_bias - h_cross * h_cross;
  return {(h_bias * g_slope - h_cross * g_bias) / determinant, (h_slope * g_bias - h_cross * g_slope) / determinant};
}

}  // namespace

float calibrated_score(const Calibration& calibration, float logit) {
  return static_cast<float>(sigmoid(static_cast<double>(logit) / calibration.temperature + calibration.bias));
}

Calibration fit_calibration(const WeightedLogits& held_out) {
  const auto fakes = static_cast<double>(std::ranges::count(held_out.labels, std::uint8_t{1}));
  const double reals = static_cast<double>(held_out.labels.size()) - fakes;
  if (fakes == 0 || reals == 0) throw Error(ErrorCode::input, "a calibration needs both reals and fakes");

  const Problem problem{held_out, {1 / (reals + 2), (fakes + 1) / (fakes + 2)}};
  double spread = 0;
  for (const float logit : held_out.logits) spread = std::max(spread, std::abs(static_cast<double>(logit)));
  double slope = 1 / std::max(spread, 1e-6), bias = 0;  // no score saturates at the start
  double loss = problem.loss(slope, bias);
  for (int iteration = 0; iteration < 200; ++iteration) {
    const NewtonStep step = newton_step(problem, slope, bias);
    double length = 1, next = problem.loss(slope - step.slope, bias - step.bias);
    while (!(next <= loss) && length > 1e-12) {
      length /= 2;
      next = problem.loss(slope - length * step.slope, bias - length * step.bias);
    }
    if (!(next <= loss)) break;
    slope -= length * step.slope;
    bias -= length * step.bias;
    const bool settled = loss - next <= 1e-12 * (1 + std::abs(loss));
    loss = next;
    if (settled) break;
  }
  if (!(slope > 0) || !std::isfinite(slope) || !std::isfinite(bias)) {
    throw Error(
        ErrorCode::input,
        "the model's logits are no higher for fakes than for reals on these pictures; there is nothing to calibrate");
  }
  return {static_cast<float>(1 / slope), static_cast<float>(bias)};
}

float fit_threshold(const WeightedLogits& held_out, const Calibration& calibration) {
  std::vector<float> scores;
  for (const float logit : held_out.logits) scores.push_back(calibrated_score(calibration, logit));
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  std::array<double, 2> mass{};
  for (std::size_t i = 0; i < scores.size(); ++i) mass[held_out.labels[i]] += held_out.weights[i];
  if (mass[0] == 0 || mass[1] == 0) throw Error(ErrorCode::input, "a threshold needs both reals and fakes");

  // Between one score and the next: what lies below is called real.
  std::vector<float> best_thresholds;
  double reals_below = 0, fakes_below = 0, best = -1;
  for (std::size_t i = 0; i < order.size(); ++i) {
    (held_out.labels[order[i]] == 1 ? fakes_below : reals_below) += held_out.weights[order[i]];
    const float score = scores[order[i]];
    const float next = i + 1 < order.size() ? scores[order[i + 1]] : 1.0f;
    if (next == score) continue;
    const double gain = reals_below / mass[0] - fakes_below / mass[1];
    if (gain < best - 1e-12) continue;
    if (gain > best + 1e-12) best_thresholds.clear();
    best = std::max(best, gain);
    const float middle = score + (next - score) / 2;
    best_thresholds.push_back(middle < next ? middle : score);
  }
  return best_thresholds.empty() ? 0.5f : best_thresholds[best_thresholds.size() / 2];
}

}  // namespace lfm
