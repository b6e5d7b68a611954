// How far a run has come, beyond the model and the optimizer's moments; and the checkpoint that holds all three.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "src/engine/engine.h"
#include "src/model/weight_file.h"
#include "src/train/options.h"
#include "src/train/process_group.h"

namespace lfm {

struct BestEpoch {
  std::uint64_t epoch = 0;  ///< counted from 1
  double value = 0;         ///< in the measure of BestBy
  double loss = 0;          ///< of validation
};

struct RunState {
  std::uint64_t step = 0;        ///< optimizer steps done
  std::uint64_t epoch = 0;       ///< epochs done
  std::uint64_t epoch_step = 0;  ///< steps done of the one under way: with the seed, the place in the data's order
  double epoch_loss = 0;         ///< sum over the images of the epoch under way
  double epoch_right = 0;        ///< images of it called rightly
  double epoch_images = 0;
  double epoch_labelled = 0;  ///< of these, those with a label
  std::optional<BestEpoch> best;
  std::uint64_t epochs_without_gain = 0;
  double seconds = 0;                     ///< of training so far
  std::uint64_t data_fingerprint = 0;     ///< Dataset::fingerprint of the training data
  std::uint64_t teacher_fingerprint = 0;  ///< of the model that the run learns from; 0: none
  int processes = 1;                      ///< that share a step, each with a batch of its own
};

/// What a checkpoint restores.
struct SavedRun {
  TrainOptions options;
  RunState state;
  Model model;
  std::vector<float> m, v;  ///< Adam's moments, laid out like the trainable parameters
  /// [65], see Teacher::measure_scale; empty without a teacher, and before it is measured.
  std::vector<float> distillation_scale;
};

/// Reads parameters and moments from the engine and writes everything atomically. Throws Error{output}.
void save_run(const std::filesystem::path& path, const TrainOptions& options, const RunState& state, const Model& model,
              Engine& engine, std::span<const float> distillation_scale = {});

/// Throws Error{model} naming the file where it is no checkpoint of a training run.
SavedRun load_run(const std::filesystem::path& path);
SavedRun load_run(const Checkpoint& checkpoint);

/// The root's run to all processes; of the model, what training needs.
void share_run(const ProcessGroup& group, SavedRun& run);

}  // namespace lfm
