// A model's thresholds by false alarms, as text.
#pragma once

#include <string>

#include "lfm/model.h"

namespace lfm {

/// A line of what it was measured on and a table; a line that says so where there is none.
std::string thresholds_text(const ThresholdTable& table);

}  // namespace lfm
