// The model that a run learns from (docs/TRAINING.md, distillation): what it says of a batch, in units of how much it
// varies.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "lfm/model.h"
#include "src/data/loader.h"
#include "src/engine/engine.h"
#include "src/train/options.h"
#include "src/train/process_group.h"
#include "src/train/run_state.h"

namespace lfm {

/// Changes with every parameter and the pooling, not with the file's name or format.
std::uint64_t teacher_fingerprint(const Model& teacher);

/// The model that run.options.teacher names, in any format that convert reads; null where it names none. `run` is the
/// root's, which reads the file and notes the fingerprint in run.state. Throws on every process: Error{model}, and
/// Error{usage} where a resumed run began with another.
std::unique_ptr<Model> share_teacher(const ProcessGroup& group, SavedRun& run, bool resumed);

class Teacher {
 public:
  /// engine: only for this; it infers alone.
  Teacher(const Model& model, std::unique_ptr<Engine> engine, const TrainOptions& options);

  /// What the images are compared with; valid until the next call. weight: of the whole distance, see Distillation.
  /// Throws what infer() does.
  Distillation teach(const PixelBatch& images, float weight);

  /// [65], per channel and of the logit: 1 / standard deviation of what the teacher says of the loader's first images
  /// (some 256 of them, over all processes). A channel that hardly varies counts as if it did, a thousandth of the
  /// others' mean. Leaves the loader to be started anew.
  std::vector<float> measure_scale(Loader& loader, const ProcessGroup& group);
  void set_scale(std::vector<float> scale) { scale_ = std::move(scale); }

 private:
  void infer_into_buffers(const PixelBatch& images);

  Architecture architecture_;
  std::unique_ptr<Engine> engine_;
  bool compares_maps_, compares_logits_;
  std::vector<float> maps_, logits_, scale_;
};

/// The squares as the teacher sees them: before blur and re-compression.
inline const std::pmr::vector<std::uint8_t>& teacher_pixels(const Batch& batch) {
  return batch.originals.empty() ? batch.pixels : batch.originals;
}

}  // namespace lfm
