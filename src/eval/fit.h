// What a model's file gets from held-out pictures: a calibration, a threshold, and the table of thresholds by false
// alarms.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lfm/model.h"
#include "src/eval/evaluation.h"

namespace lfm {

/// Fitted on every condition, each sub-dataset and label of each counting the same.
struct Fit {
  Calibration calibration;
  float balanced_threshold = 0.5f;  ///< of the best mean balanced accuracy
  ThresholdTable thresholds;        ///< a kind a sub-dataset, label and condition
};

/// conditions: what was measured of `files`, one of `data` each. Pictures without a verdict have no part in the
/// calibration, and are called fake by no threshold. Throws Error{input} as fit_calibration and fit_threshold_table do.
Fit fit(const TestData& data, std::span<const Condition> conditions, std::span<const ScoredFile> files, View view);

/// The model with what was fitted. Its threshold is the row's of this rate, or without one that of the best balanced
/// accuracy; its provenance tells how, on how many pictures, of which folders.
Model fitted_model(Model model, const Fit& fitted, std::optional<double> rate, std::span<const Condition> conditions,
                   std::size_t pictures, std::span<const std::string> folders);

/// The files' scores, by a calibration, in place of those by the old one.
void recalibrate(std::span<ScoredFile> files, const Calibration& calibration);

/// The calibration error over every picture in every condition together: what a calibration can lessen. In one
/// sub-dataset alone it may grow.
double pooled_calibration_error(const TestData& data, std::span<const ScoredFile> files);

}  // namespace lfm
