// What turns logits into probabilities: a temperature and a bias, fitted on pictures the model was not trained on.
#pragma once

#include <cstdint>
#include <span>

#include "lfm/model.h"

namespace lfm {

/// Logits with their labels (1 = fake) and weights, all [n]. The weights say how much each picture counts: for a mean
/// over sub-datasets, 1 over the pictures of its sub-dataset and label.
struct WeightedLogits {
  std::span<const float> logits;
  std::span<const std::uint8_t> labels;
  std::span<const double> weights;
};

/// Platt scaling: the temperature and bias of the least weighted cross entropy of sigmoid(logit / temperature + bias),
/// by Newton's method. The targets are those Platt (1999) proposes, (N+ + 1) / (N+ + 2) and 1 / (N- + 2), so that a
/// model without a single error does not become infinitely sure. Throws Error{input} unless both labels occur and
/// higher logits mean fakes.
Calibration fit_calibration(const WeightedLogits& held_out);

/// The threshold on scores = sigmoid(logit / temperature + bias) of the highest weighted mean of the accuracies on
/// reals and on fakes: half-way between two neighbouring scores, the middle one of equals.
float fit_threshold(const WeightedLogits& held_out, const Calibration& calibration);

/// sigmoid(logit / temperature + bias).
float calibrated_score(const Calibration& calibration, float logit);

}  // namespace lfm
