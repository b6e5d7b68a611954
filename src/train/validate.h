// Scoring a whole data set in evaluation mode.
#pragma once

#include "src/data/loader.h"
#include "src/engine/engine.h"
#include "src/train/run_log.h"

namespace lfm {

/// Metrics at threshold 0.5 and the mean loss of the plain branch, over every image of a loader made with training =
/// false.
Validation validate(Engine& engine, const Architecture& architecture, Loader& loader);

}  // namespace lfm
