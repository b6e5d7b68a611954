// The whole network, forward and backward, written once for every engine.
#pragma once

#include <array>
#include <deque>
#include <exception>
#include <functional>
#include <span>

#include "src/engine/engine.h"

namespace lfm {

/// The stages of a pass, as people call them.
inline constexpr std::array<const char*, 6> kInferenceStageNames = {"block 1", "block 2", "block 3", "block 4 and 1x1", "pooling", "head"};
inline constexpr std::array<const char*, 12> kTrainingStageNames = {
    "forward block 1", "forward block 2",  "forward block 3",          "forward block 4 and 1x1", "forward pooling",  "forward head and loss",
    "backward head",   "backward pooling", "backward block 4 and 1x1", "backward block 3",        "backward block 2", "backward block 1"};

/// Told 0 before the first stage of a pass, and after each stage how many there have been.
using StageObserver = std::function<void(int stages)>;

/// One pass of at most reserved images; what infer_head() says of logits holds.
void infer_pass(Engine& engine, const PixelBatch& batch, std::span<float> logits, const StageObserver& observe = {});

/// Logits of n images [n]; with features non-empty also the head's inputs [n][feature_count], with maps non-empty also what was pooled,
/// [n][64][rows][columns]. Makes room by itself and cuts the batch into the engine's chunks.
void infer(Engine& engine, const Architecture& architecture, const PixelBatch& batch, std::span<float> logits,
           std::span<float> features = {}, std::span<float> maps = {});

/// The same for batches that follow each other: one is begun while another is under way, so that its pixels reach the device in the
/// meantime. Engine::batches_under_way() says how many should be. All else that is asked of the engine has to wait until none is.
class InferenceQueue {
 public:
  InferenceQueue(Engine& engine, const Architecture& architecture) : engine_(engine), architecture_(architecture) {}
  InferenceQueue(const InferenceQueue&) = delete;
  InferenceQueue& operator=(const InferenceQueue&) = delete;
  ~InferenceQueue();  ///< waits: nothing is written to the caller's memory any more

  /// As infer(), but logits are there after finish() only, and pixels and logits must stay until then (pixels in PixelMemory::host
  /// need not). Features and maps are there at once. Where it throws, this batch is not under way, and the others are as they were.
  void begin(const PixelBatch& batch, std::span<float> logits, std::span<float> features = {}, std::span<float> maps = {});

  /// Waits for the earliest batch under way, of which there must be one.
  void finish();

  int under_way() const { return static_cast<int>(passes_.size()); }

 private:
  void run_passes(const PixelBatch& batch, std::span<float> logits, std::span<float> features, std::span<float> maps, int& passes);

  Engine& engine_;
  const Architecture& architecture_;
  std::deque<int> passes_;      // of each batch under way, the earliest first
  std::exception_ptr failure_;  // of passes under way, found by begin()
};

struct TrainingBatch {
  PixelBatch pixels;
  std::span<const std::uint8_t> labels;  ///< [n], 1 = fake
  Distillation teacher = {};             ///< of these images, if there is one
};

/// Forward and backward of one micro-batch: gradients are left in the engine.
TrainingResult forward_backward(Engine& engine, const TrainingBatch& batch, const TrainingOptions& options,
                                const DrawKey& key, float loss_scale, GradientMode mode,
                                const InjectedDraws& injected = {}, const StageObserver& observe = {});

}  // namespace lfm
