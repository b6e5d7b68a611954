// What the reference engine computes with, and where it adds gradients: flat arrays laid out by parameter_table().
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "src/engine/engine.h"

namespace lfm::reference {

struct Parameters {
  ParameterTable table = parameter_table({});
  std::vector<double> values;     ///< always numbers that a float holds, as checkpoints keep floats
  std::vector<double> gradients;  ///< of those that are trained

  std::span<double> value(int id) { return parameter(std::span(values), table, id); }
  /// Where a stage adds its gradient: emptied first unless micro-batches accumulate.
  std::span<double> gradient(int id, GradientMode mode) {
    const auto span = parameter(std::span(gradients), table, id);
    if (mode == GradientMode::overwrite) std::ranges::fill(span, 0.0);
    return span;
  }
};

}  // namespace lfm::reference
