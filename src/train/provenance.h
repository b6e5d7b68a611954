// What a trained model says of how it was made.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "src/data/dataset.h"
#include "src/train/options.h"
#include "src/train/run_log.h"
#include "src/train/run_state.h"

namespace lfm {

/// Step, options, the data sets' names and sizes, and validation, if there was any (null pointers: none). Models
/// travel: no path of the machine they were made on goes with them, only the names of folders.
nlohmann::json provenance(const TrainOptions& options, const RunState& state, const Dataset& data,
                          const Dataset* held_out, const Validation* validation);

}  // namespace lfm
