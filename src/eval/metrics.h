// How well scores separate reals from fakes (docs/METHOD.md, section 7).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lfm {

/// Of one data set. A share over no images is NaN, and so is AP where there is no fake.
struct Metrics {
  std::size_t reals = 0;
  std::size_t fakes = 0;
  double accuracy = 0;       ///< share of images called rightly
  double real_accuracy = 0;  ///< share of the reals called real
  double fake_accuracy = 0;  ///< share of the fakes called fake
  double ap = 0;             ///< average precision with "fake" as the positive class
};

/// scores and labels [n]; label 1 = fake; called fake where the score is above the threshold. Scores may be logits with
/// threshold 0.
Metrics compute_metrics(std::span<const float> scores, std::span<const std::uint8_t> labels, float threshold);

/// Step-wise interpolated average precision as scikit-learn's average_precision_score defines it: the sum over distinct
/// scores, descending, of (recall - recall before) * precision. Equal scores are one step. NaN without a positive
/// label.
double average_precision(std::span<const float> scores, std::span<const std::uint8_t> labels);

/// Area under the ROC curve: the share of pairs of a fake and a real in which the fake scores higher; equal scores
/// count half. NaN unless both labels occur.
double roc_auc(std::span<const float> scores, std::span<const std::uint8_t> labels);

struct BestThreshold {
  float threshold = 0;           ///< half-way between two neighbouring scores; called fake above it
  double balanced_accuracy = 0;  ///< mean of the accuracies on reals and on fakes
};

/// The threshold of the highest balanced accuracy on these scores: an upper bound for any fixed one, not a measurement.
/// The lowest of equals. balanced_accuracy is NaN unless both labels occur.
BestThreshold best_threshold(std::span<const float> scores, std::span<const std::uint8_t> labels);

/// Expected calibration error: over ten equal bins of the probability of being fake, the mean distance between the
/// probabilities and the share of fakes, weighted by the bins' images. NaN over no images.
double expected_calibration_error(std::span<const float> probabilities, std::span<const std::uint8_t> labels);

}  // namespace lfm
