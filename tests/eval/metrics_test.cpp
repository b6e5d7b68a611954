#include "src/eval/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "src/eval/bootstrap.h"
#include "tests/paths.h"

namespace lfm {
namespace {

using Labels = std::vector<std::uint8_t>;

// Expected values: scikit-learn 1.x, average_precision_score(labels, scores).
TEST(AveragePrecision, EqualsScikitLearn) {
  const auto ap = [](const std::vector<float>& scores, const Labels& labels) { return average_precision(scores, labels); };
  EXPECT_NEAR(ap({.9f, .8f, .7f, .6f}, {1, 0, 1, 0}), 0.8333333333333333, 1e-12);
  EXPECT_NEAR(ap({.5f, .5f, .5f, .5f}, {1, 0, 0, 1}), 0.5, 1e-12);  // equal scores are one step, whatever their order
  EXPECT_NEAR(ap({3, -1, 2, 2, 0, -2.5f, 2}, {1, 0, 1, 0, 1, 0, 0}), 0.7, 1e-12);
  EXPECT_NEAR(ap({1, 2, 3}, {1, 0, 0}), 1.0 / 3, 1e-12);
  EXPECT_TRUE(std::isnan(ap({1, 2}, {0, 0})));
}

TEST(Metrics, EqualScikitLearnOnRandomScoresWithTies) {
  std::ifstream file(std::filesystem::path(test::kTestFixtures) / "metrics/expected.json");
  const auto cases = nlohmann::json::parse(file);
  ASSERT_GE(cases.size(), 5u);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(i);
    const auto scores = cases[i]["scores"].get<std::vector<float>>();
    const auto labels = cases[i]["labels"].get<Labels>();
    EXPECT_NEAR(compute_metrics(scores, labels, 0.5f).accuracy, cases[i]["accuracy"].get<double>(), 1e-12);
    EXPECT_NEAR(average_precision(scores, labels), cases[i]["ap"].get<double>(), 1e-12);
    EXPECT_NEAR(roc_auc(scores, labels), cases[i]["auc"].get<double>(), 1e-12);
    EXPECT_NEAR(expected_calibration_error(scores, labels), cases[i]["ece"].get<double>(), 1e-12);
  }
}

TEST(Metrics, BestThresholdIsTheBestOfAll) {
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
    EXPECT_DOUBLE_EQ(best.balanced_accuracy, balanced(best.threshold)) << round;
    for (float t = -1; t < 1.5f; t += 0.0625f) EXPECT_LE(balanced(t), best.balanced_accuracy + 1e-12) << round;
  }
  // Neighbouring floats have no half-way between them.
  const float next = std::nextafter(0.5f, 1.0f);
  EXPECT_EQ(best_threshold(std::vector{0.5f, next}, Labels{0, 1}).threshold, 0.5f);
}

TEST(Metrics, OfOneLabelOrNothingAreNaN) {
  const std::vector<float> scores = {1, 2};
  for (const Labels& labels : {Labels{0, 0}, Labels{1, 1}}) {
    EXPECT_TRUE(std::isnan(roc_auc(scores, labels)));
    EXPECT_TRUE(std::isnan(best_threshold(scores, labels).balanced_accuracy));
  }
  EXPECT_TRUE(std::isnan(expected_calibration_error({}, {})));
}

TEST(Bootstrap, CoversTheTruthAsOftenAsItSays) {
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
    EXPECT_LT(interval.low, interval.high);
    covered += interval.low <= 0.7602 && 0.7602 <= interval.high;
  }
  EXPECT_GE(covered, trials * 88 / 100);
  EXPECT_LT(covered, trials);
}

TEST(Bootstrap, IsSeeded) {
  const std::vector<float> scores = {0.1f, 0.4f, 0.3f, 0.8f, 0.2f, 0.9f};
  const Labels labels = {0, 0, 1, 1, 0, 1};
  const Interval a = bootstrap_interval(scores, labels, average_precision, 1), b = bootstrap_interval(scores, labels, average_precision, 1);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  EXPECT_LE(a.high, 1.0);
  EXPECT_TRUE(std::isnan(bootstrap_interval(scores, Labels(6), average_precision, 1).low));
}

TEST(Metrics, CountsBothKindsOfError) {
  const std::vector<float> scores = {0.9f, 0.5f, 0.2f, 0.6f, 0.1f};
  const Labels labels = {1, 1, 1, 0, 0};
  const Metrics m = compute_metrics(scores, labels, 0.5f);  // 0.5 itself is not above the threshold
  EXPECT_EQ(m.reals, 2u);
  EXPECT_EQ(m.fakes, 3u);
  EXPECT_DOUBLE_EQ(m.accuracy, 2.0 / 5);
  EXPECT_DOUBLE_EQ(m.real_accuracy, 1.0 / 2);
  EXPECT_DOUBLE_EQ(m.fake_accuracy, 1.0 / 3);
}

}  // namespace
}  // namespace lfm
