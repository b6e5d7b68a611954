#include "src/eval/fit.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "src/eval/calibration.h"
#include "src/eval/metrics.h"
#include "src/eval/threshold_table.h"

namespace lfm {
namespace {

/// A group a condition, sub-dataset and label, in this order.
std::vector<ScoreGroup> score_groups(const TestData& data, std::span<const Condition> conditions,
                                     std::span<const ScoredFile> files, const Calibration& calibration) {
  std::vector<ScoreGroup> groups;
  const std::size_t subsets = data.subsets.size();
  const bool several_sets =
      std::ranges::any_of(data.subsets, [&](const Subset& s) { return s.test_set != data.subsets[0].test_set; });
  for (const Condition& condition : conditions) {
    for (std::size_t s = 0; s < 2 * subsets; ++s) {
      const Subset& subset = data.subsets[s / 2];
      std::string name =
          several_sets && subset.name != subset.test_set ? subset.test_set + "/" + subset.name : subset.name;
      if (condition.name != "none") name += fmt::format(" ({})", condition.name);
      groups.push_back({s / 2, std::move(name), static_cast<std::uint8_t>(s % 2), {}});
    }
  }
  constexpr float no_verdict = -1;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const LabelledFile& file = data.files[i];
    for (std::size_t c = 0; c < files[i].logits.size(); ++c) {
      if (std::isnan(files[i].logits[c])) continue;
      groups[2 * (c * subsets + file.subset) + file.label].scores.push_back(
          files[i].without_verdict ? no_verdict : calibrated_score(calibration, files[i].logits[c]));
    }
  }
  return groups;
}

}  // namespace

Fit fit(const TestData& data, std::span<const Condition> conditions, std::span<const ScoredFile> files, View view) {
  std::vector<float> logits;
  std::vector<std::uint8_t> labels;
  std::vector<double> weights;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (files[i].without_verdict) continue;
    const LabelledFile& file = data.files[i];
    for (std::size_t c = 0; c < files[i].logits.size(); ++c) {
      if (std::isnan(files[i].logits[c])) continue;
      const Figures& figures = conditions[c].subsets[file.subset];
      logits.push_back(files[i].logits[c]);
      labels.push_back(file.label);
      weights.push_back(1.0 / static_cast<double>(file.label == 1 ? figures.fakes : figures.reals));
    }
  }
  const WeightedLogits held_out{logits, labels, weights};
  const Calibration calibration = fit_calibration(held_out);
  ThresholdTable thresholds = fit_threshold_table(score_groups(data, conditions, files, calibration));
  thresholds.view = view;
  for (const Condition& condition : conditions) thresholds.conditions.push_back(condition.name);
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (files[i].scored) ++(data.files[i].label == 1 ? thresholds.fakes : thresholds.reals);
  }
  return {calibration, fit_threshold(held_out, calibration), std::move(thresholds)};
}

Model fitted_model(Model model, const Fit& fitted, std::optional<double> rate, std::span<const Condition> conditions,
                   std::size_t pictures, std::span<const std::string> folders) {
  model.calibration = fitted.calibration;
  model.thresholds = fitted.thresholds;
  model.view = fitted.thresholds.view;
  model.threshold = rate ? row_at(model, *rate, model.view).threshold : fitted.balanced_threshold;
  const std::string rule =
      rate ? fmt::format("threshold of at most {} false alarms in every kind of real", rate_text(*rate))
           : "threshold of the best mean balanced accuracy";
  nlohmann::json names = nlohmann::json::array();
  for (const Condition& condition : conditions) names.push_back(condition.name);
  nlohmann::json provenance = nlohmann::json::parse(model.provenance);
  provenance["calibration"] = {{"method", "Platt scaling; " + rule},
                               {"pictures", pictures},
                               {"data", std::vector<std::string>(folders.begin(), folders.end())},
                               {"conditions", std::move(names)}};
  model.provenance = provenance.dump();
  return model;
}

void recalibrate(std::span<ScoredFile> files, const Calibration& calibration) {
  for (ScoredFile& file : files) {
    for (std::size_t c = 0; c < file.logits.size(); ++c) {
      if (!std::isnan(file.logits[c])) file.scores[c] = calibrated_score(calibration, file.logits[c]);
    }
  }
}

double pooled_calibration_error(const TestData& data, std::span<const ScoredFile> files) {
  std::vector<float> scores;
  std::vector<std::uint8_t> labels;
  for (std::size_t i = 0; i < files.size(); ++i) {
    for (const float score : files[i].scores) {
      if (std::isnan(score)) continue;
      scores.push_back(score);
      labels.push_back(data.files[i].label);
    }
  }
  return expected_calibration_error(scores, labels);
}

}  // namespace lfm
