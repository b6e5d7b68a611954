#include "src/eval/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

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
