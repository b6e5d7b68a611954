// How well scores separate reals from fakes (SPEC section 7).
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
/// scores, descending, of (recall - recall before) * precision. Equal scores are one step. NaN without a positive label.
double average_precision(std::span<const float> scores, std::span<const std::uint8_t> labels);

}  // namespace lfm
