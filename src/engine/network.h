// The whole network, forward and backward, written once for every engine.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "src/engine/engine.h"

namespace lfm {

/// What an observer is told of as one: a stage, or several that engines may compute together.
struct ObservedStage {
  std::string name;
  std::int64_t multiply_adds = 0;  ///< of one image's inference
};
/// Of infer_pass(), in order; names alone where no size is given.
std::vector<ObservedStage> inference_stages(const Architecture& architecture = {});
std::vector<ObservedStage> inference_stages(const Architecture& architecture, int height, int width);
/// Of forward_backward(): forward, then backward.
std::vector<std::string> training_stage_names(const Architecture& architecture = {});

/// Told 0 before the first of a pass's observed stages, and after each how many there have been.
using StageObserver = std::function<void(int stages)>;

/// Images of a batch that pass together.
struct BatchPart {
  int first = 0;
  int n = 0;
};
/// A batch of n images in parts of `chunk`, the number that an engine computes best together, and one of what is left.
std::vector<BatchPart> parts_of_batch(int n, int chunk);

/// One pass of at most as many images as are reserved; what Inference::end() says of logits holds. Throws Error{usage}
/// for others.
void infer_pass(Engine& engine, const PixelBatch& batch, std::span<float> logits, const StageObserver& observe = {});

/// Logits of n images [n]; with features non-empty also the head's inputs [n][feature_count], with maps non-empty also
/// what was pooled, [n][map_channels][rows][columns]. Makes room by itself and cuts the batch into the engine's chunks.
void infer(Engine& engine, const Architecture& architecture, const PixelBatch& batch, std::span<float> logits,
           std::span<float> features = {}, std::span<float> maps = {});

/// The same for batches that follow each other: one is begun while another is under way, so that its pixels reach the
/// device in the meantime. Inference::batches_under_way() says how many should be. All else that is asked of the engine
/// has to wait until none is.
class InferenceQueue {
 public:
  InferenceQueue(Engine& engine, const Architecture& architecture) : engine_(engine), architecture_(architecture) {}
  InferenceQueue(const InferenceQueue&) = delete;
  InferenceQueue& operator=(const InferenceQueue&) = delete;
  ~InferenceQueue();  ///< waits: nothing is written to the caller's memory any more

  /// As infer(), but logits are there after finish() only, and pixels and logits must stay until then (pixels in
  /// PixelMemory::host need not). Features and maps are there at once. Where it throws, this batch is not under way,
  /// and the others are as they were.
  void begin(const PixelBatch& batch, std::span<float> logits, std::span<float> features = {},
             std::span<float> maps = {});

  /// Waits for the earliest batch under way, of which there must be one.
  void finish();

  int under_way() const { return static_cast<int>(passes_.size()); }

 private:
  void run_passes(const PixelBatch& batch, std::span<float> logits, std::span<float> features, std::span<float> maps,
                  int& passes);

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

/// Forward and backward of one micro-batch: gradients are left in the engine. Makes room by itself. Throws Error{usage}
/// for RBLD or RKS with average pooling.
TrainingResult forward_backward(Engine& engine, const TrainingBatch& batch, const TrainingOptions& options,
                                const DrawKey& key, float loss_scale, GradientMode mode,
                                const InjectedDraws& injected = {}, const StageObserver& observe = {});

}  // namespace lfm
