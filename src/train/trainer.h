// The training loop (docs/METHOD.md, section 6). A run lives in one folder (src/train/run_folder.h) and is a function
// of its options and data alone: interrupted at any moment and resumed, it ends with the same bits on the same engine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "src/train/options.h"
#include "src/train/process_group.h"
#include "src/train/run_state.h"

namespace lfm {

/// Shown while a run goes on.
struct TrainProgress {
  std::uint64_t epoch = 0;  ///< under way, from 1
  std::uint64_t epochs = 0;
  std::uint64_t step = 0;   ///< done
  std::uint64_t steps = 0;  ///< in all, if nothing stops the run early
  double loss = 0;          ///< a moving average
  double images_per_second = 0;
  double seconds_left = 0;
};

/// How a run talks to whoever started it; every function may be empty.
struct TrainHooks {
  std::function<void(const std::string& line)> say;
  std::function<void(const TrainProgress&)> progress;
  std::function<bool()> interrupted;  ///< asked after every step: true saves and ends the run
};

enum class TrainEnd { finished, stopped_early, interrupted };

struct TrainOutcome {
  TrainEnd end = TrainEnd::finished;
  RunState state;
};

/// Starts a run in options.out. Every process of the group makes the same call with the same options; only the root
/// calls the hooks' say and progress. Throws lfm::Error: usage where options contradict each other or the folder
/// already holds a run; input for unusable data, and where the loss explodes or is no number (the message names the
/// step and the last good checkpoint); output, model, device. What stops all processes alike is thrown on all of them;
/// what stops one is thrown there, and the others wait for it.
TrainOutcome start_training(TrainOptions options, const TrainHooks& hooks, const ProcessGroup& group = {});

/// Goes on with the run in a folder from its last checkpoint. `given`: options as in to_json(TrainOptions) that the
/// user names again; one that may not change must equal the run's, or Error{usage} is thrown. On another number of
/// processes, each takes as much more or less of a step.
TrainOutcome resume_training(const std::filesystem::path& folder, const nlohmann::json& given, const TrainHooks& hooks,
                             const ProcessGroup& group = {});

}  // namespace lfm
