#include "src/eval/metrics.h"

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "src/eval/bootstrap.h"
#include "tests/catch.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using Labels = std::vector<std::uint8_t>;

// Expected values: scikit-learn 1.x, average_precision_score(labels, scores).
TEST_CASE("AveragePrecision.EqualsScikitLearn") {
  const auto ap = [](const std::vector<float>& scores, const Labels& labels) {
    return average_precision(scores, labels);
  };
  CHECK_THAT(ap({.9f, .8f, .7f, .6f}, {1, 0, 1, 0}), WithinAbs(0.8333333333333333, 1e-12));
  CHECK_THAT(ap({.5f, .5f, .5f, .5f}, {1, 0, 0, 1}),
             WithinAbs(0.5, 1e-12));  // equal scores are one step, whatever their order
  CHECK_THAT(ap({3, -1, 2, 2, 0, -2.5f, 2}, {1, 0, 1, 0, 1, 0, 0}), WithinAbs(0.7, 1e-12));
  CHECK_THAT(ap({1, 2, 3}, {1, 0, 0}), WithinAbs(1.0 / 3, 1e-12));
  CHECK(std::isnan(ap({1, 2}, {0, 0})));
}

TEST_CASE("Metrics.EqualScikitLearnOnRandomScoresWithTies") {
  std::ifstream file(std::filesystem::path(test::kTestFixtures) / "metrics/expected.json");
  const auto cases = nlohmann::json::parse(file);
  REQUIRE(cases.size() >= 5u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    INFO(i);
    const auto scores = cases[i]["scores"].get<std::vector<float>>();
    const auto labels = cases[i]["labels"].get<Labels>();
    CHECK_THAT(compute_metrics(scores, labels, 0.5f).accuracy, WithinAbs(cases[i]["accuracy"].get<double>(), 1e-12));
    CHECK_THAT(average_precision(scores, labels), WithinAbs(cases[i]["ap"].get<double>(), 1e-12));
    CHECK_THAT(roc_auc(scores, labels), WithinAbs(cases[i]["auc"].get<double>(), 1e-12));
    CHECK_THAT(expected_calibration_error(scores, labels), WithinAbs(cases[i]["ece"].get<double>(), 1e-12));
  }
}

TEST_CASE("Metrics.BestThresholdIsTheBestOfAll") {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const std::size_t n = 2 + random() % 30;
    std::vector<float> scores(n);
    Labels labels(n);
    for (std::size_t i = 0; i < n; ++i) {
      scores[i] = static_cast<float>(random() % 12) / 8 - 0.5f;
      labels[i] = static_cast<std::uint8_t>(i < 2 ? i : random() % 2);
    }
    const auto balanced = [&](float threshold) {
      const Metrics m = compute_metrics(scores, labels, threshold);
      return (m.real_accuracy + m.fake_accuracy) / 2;
    };
    const BestThreshold best = best_threshold(scores, labels);
    CHECK_THAT_MESSAGE(best.balanced_accuracy, WithinULP(balanced(best.threshold), 4), round);
    for (float t = -1; t < 1.5f; t += 0.0625f) CHECK_MESSAGE(balanced(t) <= best.balanced_accuracy + 1e-12, round);
  }
  // Neighbouring floats have no half-way between them.
  const float next = std::nextafter(0.5f, 1.0f);
  CHECK(best_threshold(std::vector{0.5f, next}, Labels{0, 1}).threshold == 0.5f);
}

TEST_CASE("Metrics.OfOneLabelOrNothingAreNaN") {
  const std::vector<float> scores = {1, 2};
  for (const Labels& labels : {Labels{0, 0}, Labels{1, 1}}) {
    CHECK(std::isnan(roc_auc(scores, labels)));
    CHECK(std::isnan(best_threshold(scores, labels).balanced_accuracy));
  }
  CHECK(std::isnan(expected_calibration_error({}, {})));
}

TEST_CASE("Bootstrap.CoversTheTruthAsOftenAsItSays") {
  // Scores of fakes are shifted by one standard deviation: the AUC is Phi(1/sqrt 2) = 0.7602.
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  constexpr int trials = 120;
  int covered = 0;
  for (int trial = 0; trial < trials; ++trial) {
    std::vector<float> scores(80);
    Labels labels(80);
    for (std::size_t i = 0; i < 80; ++i) {
      labels[i] = i < 40;
      scores[i] = normal(random) + static_cast<float>(labels[i]);
    }
    const Interval interval = bootstrap_interval(scores, labels, roc_auc, static_cast<std::uint64_t>(trial), 300);
    CHECK(interval.low < interval.high);
    covered += interval.low <= 0.7602 && 0.7602 <= interval.high;
  }
  CHECK(covered >= trials * 88 / 100);
  CHECK(covered < trials);
}

TEST_CASE("Bootstrap.IsSeeded") {
  const std::vector<float> scores = {0.1f, 0.4f, 0.3f, 0.8f, 0.2f, 0.9f};
  const Labels labels = {0, 0, 1, 1, 0, 1};
  const Interval a = bootstrap_interval(scores, labels, average_precision, 1),
                 b = bootstrap_interval(scores, labels, average_precision, 1);
  CHECK(a.low == b.low);
  CHECK(a.high == b.high);
  CHECK(a.high <= 1.0);
  CHECK(std::isnan(bootstrap_interval(scores, Labels(6), average_precision, 1).low));
}

TEST_CASE("Metrics.CountsBothKindsOfError") {
  const std::vector<float> scores = {0.9f, 0.5f, 0.2f, 0.6f, 0.1f};
  const Labels labels = {1, 1, 1, 0, 0};
  const Metrics m = compute_metrics(scores, labels, 0.5f);  // 0.5 itself is not above the threshold
  CHECK(m.reals == 2u);
  CHECK(m.fakes == 3u);
  CHECK_THAT(m.accuracy, WithinULP(2.0 / 5, 4));
  CHECK_THAT(m.real_accuracy, WithinULP(1.0 / 2, 4));
  CHECK_THAT(m.fake_accuracy, WithinULP(1.0 / 3, 4));
}

}  // namespace
}  // namespace lfm
