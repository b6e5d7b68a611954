#include "src/eval/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace lfm {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// One sub-dataset in one condition.
struct ScoredSubset {
  std::vector<float> logits;
  std::vector<float> scores;
  std::vector<std::uint8_t> labels;
};

/// Bootstrapped values of the three figures that carry an interval, resample by resample.
struct Resamples {
  std::vector<double> accuracy, ap, balanced;
};

struct Measured {
  Figures figures;
  Resamples resamples;
};

double accuracy_at(std::span<const float> scores, std::span<const std::uint8_t> labels, float threshold) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) right += (scores[i] > threshold) == (labels[i] == 1);
  return scores.empty() ? kNaN : static_cast<double>(right) / static_cast<double>(scores.size());
}

double balanced_accuracy_at(std::span<const float> scores, std::span<const std::uint8_t> labels, float threshold) {
  std::array<std::size_t, 2> right{}, all{};
  for (std::size_t i = 0; i < scores.size(); ++i) {
    ++all[labels[i]];
    right[labels[i]] += (scores[i] > threshold) == (labels[i] == 1);
  }
  if (all[0] == 0 || all[1] == 0) return kNaN;
  return 0.5 * (static_cast<double>(right[0]) / static_cast<double>(all[0]) +
                static_cast<double>(right[1]) / static_cast<double>(all[1]));
}

Measured measure_subset(const ScoredSubset& set, const MeasureOptions& options, std::uint64_t seed) {
  const Metrics metrics = compute_metrics(set.scores, set.labels, options.threshold);
  const BestThreshold best = best_threshold(set.scores, set.labels);
  Measured measured;
  Figures& f = measured.figures;
  f.reals = metrics.reals;
  f.fakes = metrics.fakes;
  f.accuracy = metrics.accuracy;
  f.ap = average_precision(set.logits, set.labels);
  f.real_accuracy = metrics.real_accuracy;
  f.fake_accuracy = metrics.fake_accuracy;
  f.balanced_accuracy = balanced_accuracy_at(set.scores, set.labels, options.threshold);
  f.auc = roc_auc(set.logits, set.labels);
  f.ece = expected_calibration_error(set.scores, set.labels);
  f.best_threshold = best.threshold;
  f.best_balanced_accuracy = best.balanced_accuracy;

  const auto at_threshold = [&](auto metric) {
    return [metric, t = options.threshold](std::span<const float> scores, std::span<const std::uint8_t> labels) {
      return metric(scores, labels, t);
    };
  };
  Resamples& r = measured.resamples;
  r.accuracy = bootstrap_values(set.scores, set.labels, at_threshold(accuracy_at), seed, options.resamples);
  r.balanced = bootstrap_values(set.scores, set.labels, at_threshold(balanced_accuracy_at), seed, options.resamples);
  r.ap = bootstrap_values(set.logits, set.labels, average_precision, seed, options.resamples);
  f.accuracy_interval = percentile_interval(r.accuracy);
  f.balanced_interval = percentile_interval(r.balanced);
  f.ap_interval = percentile_interval(r.ap);
  return measured;
}

/// The mean of the sub-datasets that have the figure.
template <typename Of>
double mean_of(const std::vector<const Measured*>& all, Of of) {
  double sum = 0;
  std::size_t count = 0;
  for (const Measured* m : all) {
    const double value = of(*m);
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count == 0 ? kNaN : sum / static_cast<double>(count);
}

Figures mean_figures(const std::vector<const Measured*>& all, int resamples) {
  Figures mean;
  for (const Measured* m : all) {
    mean.reals += m->figures.reals;
    mean.fakes += m->figures.fakes;
  }
  const auto figure = [&](double Figures::*member) {
    return mean_of(all, [&](const Measured& m) { return m.figures.*member; });
  };
  mean.accuracy = figure(&Figures::accuracy);
  mean.ap = figure(&Figures::ap);
  mean.real_accuracy = figure(&Figures::real_accuracy);
  mean.fake_accuracy = figure(&Figures::fake_accuracy);
  mean.balanced_accuracy = figure(&Figures::balanced_accuracy);
  mean.auc = figure(&Figures::auc);
  mean.ece = figure(&Figures::ece);
  mean.best_threshold = kNaN;
  mean.best_balanced_accuracy = figure(&Figures::best_balanced_accuracy);

  // The sub-datasets were resampled independently: the mean's resample is the mean of theirs.
  const auto interval = [&](std::vector<double> Resamples::*member) {
    std::vector<double> means;
    for (int i = 0; i < resamples; ++i) {
      means.push_back(
          mean_of(all, [&](const Measured& m) { return (m.resamples.*member)[static_cast<std::size_t>(i)]; }));
    }
    return percentile_interval(means);
  };
  mean.accuracy_interval = interval(&Resamples::accuracy);
  mean.ap_interval = interval(&Resamples::ap);
  mean.balanced_interval = interval(&Resamples::balanced);
  return mean;
}

}  // namespace

std::vector<Condition> measure(const TestData& data, std::span<const ScoredFile> files,
                               const std::vector<std::string>& condition_names, const MeasureOptions& options) {
  std::vector<Condition> conditions;
  for (std::size_t c = 0; c < condition_names.size(); ++c) {
    Condition& condition = conditions.emplace_back();
    condition.name = condition_names[c];
    std::vector<ScoredSubset> sets(data.subsets.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (!files[i].scored) continue;
      if (std::isnan(files[i].scores[c])) {
        ++condition.undelivered;
        continue;
      }
      ScoredSubset& set = sets[data.files[i].subset];
      set.logits.push_back(files[i].logits[c]);
      set.scores.push_back(files[i].scores[c]);
      set.labels.push_back(data.files[i].label);
    }
    std::vector<Measured> measured;
    for (std::size_t s = 0; s < sets.size(); ++s)
      measured.push_back(measure_subset(sets[s], options, options.seed + s));

    std::vector<const Measured*> all;
    for (const Measured& m : measured) {
      condition.subsets.push_back(m.figures);
      all.push_back(&m);
    }
    condition.mean = mean_figures(all, options.resamples);
    for (std::size_t s = 0; s < sets.size(); ++s) {
      const std::string& name = data.subsets[s].test_set;
      const auto is_it = [&](const TestSetFigures& t) { return t.name == name; };
      if (std::ranges::any_of(condition.test_sets, is_it)) continue;
      std::vector<const Measured*> members;
      for (std::size_t o = s; o < sets.size(); ++o) {
        if (data.subsets[o].test_set == name) members.push_back(&measured[o]);
      }
      condition.test_sets.push_back({name, mean_figures(members, options.resamples)});
    }
  }
  return conditions;
}

}  // namespace lfm
