#include "src/eval/calibration.h"

#include <cmath>
#include <random>
#include <vector>

#include "lfm/error.h"
#include "src/eval/metrics.h"
#include "tests/catch.h"

namespace lfm {
namespace {

struct HeldOut {
  std::vector<float> logits;
  std::vector<std::uint8_t> labels;
  std::vector<double> weights;
  WeightedLogits view() const { return {logits, labels, weights}; }
};

/// Labels drawn with the probability sigmoid(logit / temperature + bias).
HeldOut draw(std::size_t n, double temperature, double bias, std::uint32_t seed) {
  HeldOut drawn;
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, 3 * temperature);
  std::uniform_real_distribution<double> uniform;
  for (std::size_t i = 0; i < n; ++i) {
    const double logit = normal(random);
    drawn.logits.push_back(static_cast<float>(logit));
    drawn.labels.push_back(uniform(random) < 1 / (1 + std::exp(-(logit / temperature + bias))));
    drawn.weights.push_back(1);
  }
  return drawn;
}

TEST_CASE("Calibration.FindsTheTemperatureAndBiasThatDrewTheLabels") {
  for (const auto& [temperature, bias] : {std::pair{1.0, 0.0}, std::pair{8.0, 1.5}, std::pair{0.2, -0.7}}) {
    const Calibration fitted = fit_calibration(draw(40000, temperature, bias, 5).view());
    CHECK_THAT_MESSAGE(fitted.temperature / temperature, WithinAbs(1, 0.05), temperature);
    CHECK_THAT(fitted.bias, WithinAbs(bias, 0.1));
  }
}

TEST_CASE("Calibration.IsTheMinimum") {
  const HeldOut drawn = draw(300, 2, 0.5, 9);
  const Calibration fitted = fit_calibration(drawn.view());
  const auto loss = [&](double temperature, double bias) {
    double fakes = 0, reals = 0, sum = 0;
    for (const auto label : drawn.labels) (label == 1 ? fakes : reals) += 1;
    for (std::size_t i = 0; i < drawn.logits.size(); ++i) {
      const double p = 1 / (1 + std::exp(-(drawn.logits[i] / temperature + bias)));
      const double target = drawn.labels[i] == 1 ? (fakes + 1) / (fakes + 2) : 1 / (reals + 2);
      sum -= target * std::log(p) + (1 - target) * std::log(1 - p);
    }
    return sum;
  };
  const double least = loss(fitted.temperature, fitted.bias);
  for (const double t : {0.97, 1.0, 1.03}) {
    for (const double b : {-0.03, 0.0, 0.03}) CHECK(loss(fitted.temperature * t, fitted.bias + b) >= least - 1e-6);
  }
}

TEST_CASE("Calibration.MakesProbabilitiesOfOverconfidentLogits") {
  HeldOut drawn = draw(5000, 10, 2, 3);
  std::vector<float> raw, calibrated;
  const Calibration fitted = fit_calibration(drawn.view());
  for (const float logit : drawn.logits) {
    raw.push_back(calibrated_score({}, logit));
    calibrated.push_back(calibrated_score(fitted, logit));
  }
  CHECK(expected_calibration_error(raw, drawn.labels) > 0.1);
  CHECK(expected_calibration_error(calibrated, drawn.labels) < 0.03);
}

TEST_CASE("Calibration.StaysFiniteWithoutASingleError") {
  const HeldOut clear{{-300, -200, -250, 40, 50, 60}, {0, 0, 0, 1, 1, 1}, {1, 1, 1, 1, 1, 1}};
  const Calibration fitted = fit_calibration(clear.view());
  CHECK(fitted.temperature > 1);
  CHECK(std::isfinite(fitted.bias));
  CHECK_MESSAGE(calibrated_score(fitted, 50) < 0.99f, "three pictures prove little");
  const float threshold = fit_threshold(clear.view(), fitted);
  CHECK(threshold > calibrated_score(fitted, -200));
  CHECK(threshold < calibrated_score(fitted, 40));
}

TEST_CASE("Calibration.RefusesWhatItCannotFit") {
  const std::vector<double> weights(4, 1.0);
  const std::vector<float> logits = {1, 2, 3, 4};
  const std::vector<std::uint8_t> reals = {0, 0, 0, 0}, inverted = {1, 1, 0, 0};
  CHECK_THROWS_AS(fit_calibration({logits, reals, weights}), Error);
  CHECK_THROWS_AS(fit_calibration({logits, inverted, weights}), Error);
  CHECK_THROWS_AS(fit_threshold({logits, reals, weights}, {}), Error);
}

TEST_CASE("Calibration.TheThresholdIsTheBestOfAllUnderTheWeights") {
  std::mt19937 random(8);
  for (int round = 0; round < 100; ++round) {
    HeldOut drawn = draw(40, 1, 0, static_cast<std::uint32_t>(round));
    drawn.labels[0] = 0;
    drawn.labels[1] = 1;
    for (double& w : drawn.weights) w = 0.25 * static_cast<double>(1 + random() % 4);
    const auto balanced = [&](float threshold) {
      double right[2] = {0, 0}, all[2] = {0, 0};
      for (std::size_t i = 0; i < drawn.logits.size(); ++i) {
        const int label = drawn.labels[i];
        all[label] += drawn.weights[i];
        if ((calibrated_score({}, drawn.logits[i]) > threshold) == (label == 1)) right[label] += drawn.weights[i];
      }
      return (right[0] / all[0] + right[1] / all[1]) / 2;
    };
    const double best = balanced(fit_threshold(drawn.view(), {}));
    for (float t = 0; t <= 1; t += 1.0f / 512)
      REQUIRE_MESSAGE(balanced(t) <= best + 1e-9, "round " << round << " threshold " << t);
  }
}

}  // namespace
}  // namespace lfm
