#include "src/eval/evaluation.h"

#include <cmath>
#include <limits>
#include <random>

#include "tests/catch.h"

namespace lfm {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

/// Three sub-datasets in two test sets; the pictures' logits are shifted by the subset and the label.
struct Drawn {
  TestData data;
  std::vector<ScoredFile> files;
};

Drawn draw(std::size_t per_label, std::uint32_t seed) {
  Drawn drawn;
  drawn.data.subsets = {{"A", "one"}, {"A", "two"}, {"B", "three"}};
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (std::uint32_t s = 0; s < 3; ++s) {
    for (std::size_t i = 0; i < 2 * per_label; ++i) {
      const auto label = static_cast<std::uint8_t>(i % 2);
      const float logit = normal(random) + static_cast<float>(label) * (1.0f + static_cast<float>(s)) - 0.5f;
      const float score = 1 / (1 + std::exp(-logit));
      drawn.data.files.push_back({"", label, s});
      drawn.files.push_back({true, {logit, -logit}, {score, 1 - score}});
    }
  }
  return drawn;
}

TEST_CASE("Evaluation.FiguresOfASubsetAreThoseOfItsPictures") {
  const Drawn drawn = draw(40, 1);
  const auto conditions = measure(drawn.data, drawn.files, {"none", "inverted"}, {.threshold = 0.4f, .resamples = 20});
  REQUIRE(conditions.size() == 2u);
  for (std::uint32_t s = 0; s < 3; ++s) {
    std::vector<float> logits, scores;
    std::vector<std::uint8_t> labels;
    for (std::size_t i = 0; i < drawn.files.size(); ++i) {
      if (drawn.data.files[i].subset != s) continue;
      logits.push_back(drawn.files[i].logits[0]);
      scores.push_back(drawn.files[i].scores[0]);
      labels.push_back(drawn.data.files[i].label);
    }
    const Metrics metrics = compute_metrics(scores, labels, 0.4f);
    const Figures& f = conditions[0].subsets[s];
    CHECK(f.reals == 40u);
    CHECK(f.accuracy == metrics.accuracy);
    CHECK(f.real_accuracy == metrics.real_accuracy);
    CHECK(f.fake_accuracy == metrics.fake_accuracy);
    CHECK_THAT(f.balanced_accuracy, WithinULP((metrics.real_accuracy + metrics.fake_accuracy) / 2, 4));
    CHECK(f.ap == average_precision(logits, labels));
    CHECK(f.auc == roc_auc(logits, labels));
    CHECK_THAT_MESSAGE(conditions[1].subsets[s].auc, WithinAbs(1 - f.auc, 1e-12),
                       "the second condition has its own logits");
    CHECK(f.ap_interval.low < f.ap);
    CHECK(f.ap_interval.high > f.ap);
  }
}

TEST_CASE("Evaluation.MeansCountEverySubsetOnceAndAreSurer") {
  const Drawn drawn = draw(60, 2);
  const Condition c = measure(drawn.data, drawn.files, {"none"}, {.resamples = 300})[0];
  CHECK_THAT(c.mean.ap, WithinAbs((c.subsets[0].ap + c.subsets[1].ap + c.subsets[2].ap) / 3, 1e-12));
  REQUIRE(c.test_sets.size() == 2u);
  CHECK(c.test_sets[0].name == "A");
  CHECK_THAT(c.test_sets[0].mean.accuracy, WithinAbs((c.subsets[0].accuracy + c.subsets[1].accuracy) / 2, 1e-12));
  CHECK(c.test_sets[1].mean.balanced_accuracy == c.subsets[2].balanced_accuracy);
  CHECK(c.mean.reals == 180u);
  const auto width = [](const Interval& i) { return i.high - i.low; };
  CHECK(width(c.mean.balanced_interval) < width(c.subsets[0].balanced_interval));
  CHECK(width(c.mean.balanced_interval) > 0);
}

TEST_CASE("Evaluation.LeavesOutWhatWasNotScoredOrNotDelivered") {
  Drawn drawn = draw(10, 3);
  drawn.files[0].scored = false;
  drawn.files[0].logits.clear();
  drawn.files[0].scores.clear();
  drawn.files[2].logits[1] = drawn.files[2].scores[1] = kNaN;
  const auto conditions = measure(drawn.data, drawn.files, {"none", "inverted"}, {.resamples = 0});
  CHECK(conditions[0].subsets[0].reals == 9u);
  CHECK(conditions[1].subsets[0].reals == 8u);
  CHECK(conditions[0].undelivered == 0u);
  CHECK(conditions[1].undelivered == 1u);
  CHECK_MESSAGE(std::isnan(conditions[0].mean.ap_interval.low), "no resamples, no interval");
}

TEST_CASE("Evaluation.ASubsetOfOneLabelHasNoSharesThatNeedBoth") {
  TestData data;
  data.subsets = {{"A", "fakes"}, {"A", "both"}};
  std::vector<ScoredFile> files;
  for (int i = 0; i < 6; ++i) {
    data.files.push_back({"", static_cast<std::uint8_t>(i < 4 ? 1 : i % 2), static_cast<std::uint32_t>(i < 4 ? 0 : 1)});
    files.push_back({true, {static_cast<float>(i)}, {0.1f * static_cast<float>(i)}});
  }
  const Condition c = measure(data, files, {"none"}, {.resamples = 10})[0];
  CHECK(std::isnan(c.subsets[0].auc));
  CHECK(std::isnan(c.subsets[0].real_accuracy));
  CHECK(std::isnan(c.subsets[0].balanced_accuracy));
  CHECK_MESSAGE(c.mean.auc == c.subsets[1].auc, "means are over those that have the figure");
}

TEST_CASE("Evaluation.IsRepeatable") {
  const Drawn drawn = draw(20, 4);
  const auto a = measure(drawn.data, drawn.files, {"none"}, {.resamples = 50}),
             b = measure(drawn.data, drawn.files, {"none"}, {.resamples = 50});
  CHECK(a[0].mean.ap_interval.low == b[0].mean.ap_interval.low);
  const auto other = measure(drawn.data, drawn.files, {"none"}, {.resamples = 50, .seed = 99});
  CHECK(a[0].mean.ap_interval.low != other[0].mean.ap_interval.low);
}

}  // namespace
}  // namespace lfm
