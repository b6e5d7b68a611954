// What a run records: a line of JSON for each step and each epoch, appended as it goes, and the same in memory for the
// curves.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "src/eval/metrics.h"

namespace lfm {

struct StepRecord {
  std::uint64_t step = 0;  ///< steps done, this one included
  std::uint64_t epoch = 0;
  double loss = 0;      ///< what is minimised, mean over the batch: without a teacher loss_a + alpha * loss_b
  double loss_a = 0;    ///< of the top-k branch, mean over the images with a label
  double loss_b = 0;    ///< of the randomly selected values
  double accuracy = 0;  ///< of the batch's images with a label, as trained on; NaN: there are none, likewise the losses
  double learning_rate = 0;
  double gradient_norm = 0;
  double images_per_second = 0;
  double distance_maps = 0;  ///< to the teacher, means over the batch; 0 without one
  double distance_logits = 0;
};

struct Validation {
  double loss = 0;
  Metrics metrics;
};

struct EpochRecord {
  std::uint64_t epoch = 0;  ///< epochs done, this one included
  std::uint64_t step = 0;
  double loss = 0;      ///< mean over the epoch's images
  double accuracy = 0;  ///< of those with a label; NaN: there are none
  double seconds = 0;   ///< since the run began, pauses left out
  bool best = false;
  std::optional<Validation> validation;
};

nlohmann::json to_json(const StepRecord& record);
nlohmann::json to_json(const EpochRecord& record);

class RunLog {
 public:
  /// Opens the log for appending. What it holds up to keep_steps (and keep_epochs) is read; anything later, as a run
  /// that was killed after its last checkpoint leaves, is cut off. A new run keeps nothing. Throws Error{output}.
  RunLog(const std::filesystem::path& path, std::uint64_t keep_steps, std::uint64_t keep_epochs);

  void append(const StepRecord& record);
  void append(const EpochRecord& record);

  const std::vector<StepRecord>& steps() const { return steps_; }
  const std::vector<EpochRecord>& epochs() const { return epochs_; }

 private:
  void write(const nlohmann::json& line);

  std::filesystem::path path_;
  std::ofstream file_;
  std::vector<StepRecord> steps_;
  std::vector<EpochRecord> epochs_;
};

}  // namespace lfm
