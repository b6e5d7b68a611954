// The paper's table: how well a model's scores separate reals from fakes, per sub-dataset, test set and over all, in
// every condition the pictures were delivered in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/eval/bootstrap.h"
#include "src/eval/metrics.h"
#include "src/eval/subsets.h"

namespace lfm {

/// Figures of one sub-dataset, or their means over several. What can't be measured, with one label only for instance,
/// is NaN.
struct Figures {
  std::size_t reals = 0;  ///< scored
  std::size_t fakes = 0;
  double accuracy = 0;
  double ap = 0;
  double real_accuracy = 0;
  double fake_accuracy = 0;
  double balanced_accuracy = 0;
  double auc = 0;
  double ece = 0;
  double best_threshold = 0;                                   ///< of one sub-dataset; NaN for means
  double best_balanced_accuracy = 0;                           ///< at that threshold
  Interval accuracy_interval, ap_interval, balanced_interval;  ///< 95 %, by bootstrap; NaN without resamples
};

struct TestSetFigures {
  std::string name;
  Figures mean;  ///< over its sub-datasets
};

/// All pictures delivered one way.
struct Condition {
  std::string name;              ///< "none", "jpeg:90", …
  std::vector<Figures> subsets;  ///< as many as the test data's
  std::vector<TestSetFigures> test_sets;
  Figures mean;                 ///< over all sub-datasets
  std::size_t undelivered = 0;  ///< pictures that can't be delivered so: too small, too large
};

/// One file's outcome. Scores are parallel to the conditions; NaN where it was not delivered.
struct ScoredFile {
  bool scored = false;
  std::vector<float> logits;
  std::vector<float> scores;
  std::vector<float> member_logits = {};  ///< [conditions][members] of a model with several; none beyond the deliveries
  bool without_verdict = false;           ///< too little texture: detect answers "unsure"
};

struct MeasureOptions {
  float threshold = 0.5f;
  int resamples = 1000;  ///< of the bootstrap; 0: no intervals
  std::uint64_t seed = 1;
};

/// The conditions, one per name, over the files that were scored. AP and AUC rank by logits, which do not saturate.
std::vector<Condition> measure(const TestData& data, std::span<const ScoredFile> files,
                               const std::vector<std::string>& condition_names, const MeasureOptions& options);

}  // namespace lfm
