#include "src/engine/network.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <new>
#include <numeric>
#include <utility>

#include "lfm/error.h"
#include "src/engine/out_of_memory.h"

namespace lfm {

namespace {

/// Makes room for as many of the batch as go through the engine together: half as many where memory does not suffice.
/// Returns the passes.
std::vector<BatchPart> reserve_parts(Engine& engine, const PixelBatch& batch) {
  int chunk = engine.inference().chunk(batch.height, batch.width);
  for (;;) {
    const std::vector<BatchPart> parts = parts_of_batch(batch.n, chunk);
    try {
      engine.reserve({parts[0].n, batch.height, batch.width, PlanMode::inference});
      return parts;
    } catch (const OutOfMemory&) {
      const int smaller = std::min(parts[0].n, engine.inference().chunk(batch.height, batch.width));
      if (smaller == parts[0].n) throw;
      chunk = smaller;
    }
  }
}

/// Whether the exception being handled says that the device failed, and not that this batch is at fault or too large.
bool is_of_the_device() {
  try {
    throw;
  } catch (const OutOfMemory&) {
    return false;
  } catch (const Error& error) {
    return error.code() == ErrorCode::device;
  } catch (const std::bad_alloc&) {
    return false;
  } catch (...) {
    return true;
  }
}

/// Counts a pass's stages for whoever observes it.
class StageCounter {
 public:
  explicit StageCounter(const StageObserver& observe) : observe_(observe) { tell(); }
  void done() {
    ++stages_;
    tell();
  }

 private:
  void tell() const {
    if (observe_) observe_(stages_);
  }
  const StageObserver& observe_;
  int stages_ = 0;
};

void check_room(const Engine& engine, const PixelBatch& batch, PlanMode mode) {
  const PlanRequest& room = engine.room(mode);
  if (batch.n >= 1 && batch.n <= room.n && batch.height == room.height && batch.width == room.width) return;
  throw Error(ErrorCode::usage,
              fmt::format("no room was reserved for {} images of {}x{}", batch.n, batch.width, batch.height));
}

void check_step(const Engine& engine, const TrainingBatch& batch, const TrainingOptions& options) {
  engine.require(engine.architecture(), PlanMode::training);
  if (engine.architecture().pooling == Pooling::average && (options.rbld || options.rks)) {
    throw Error(ErrorCode::usage, "RBLD and RKS select among top-k values: average pooling trains without them");
  }
  if (!batch.teacher.maps.empty() && engine.architecture().trunk != Trunk::snet) {
    throw Error(ErrorCode::usage,
                "a teacher's maps are SNet's 64: networks with another trunk can't be compared to them");
  }
  if (batch.labels.size() != static_cast<std::size_t>(batch.pixels.n)) {
    throw Error(ErrorCode::usage, fmt::format("{} labels for {} images", batch.labels.size(), batch.pixels.n));
  }
}

std::vector<ObservedStage> observed_of(std::span<const Stage> table) {
  std::vector<ObservedStage> all;
  bool joined = false;  // the row before with this one
  for (const Stage& stage : table) {
    if (joined) {
      all.back().name += std::string(" and ") + stage.name;
      all.back().multiply_adds += stage.multiply_adds;
    } else {
      all.push_back({stage.name, stage.multiply_adds});
    }
    joined = stage.joined;
  }
  return all;
}

}  // namespace

std::vector<ObservedStage> inference_stages(const Architecture& architecture) {
  return observed_of(stage_table(architecture));
}

std::vector<ObservedStage> inference_stages(const Architecture& architecture, int height, int width) {
  return observed_of(stages(architecture, height, width));
}

std::vector<std::string> training_stage_names(const Architecture& architecture) {
  const std::vector<ObservedStage> all = inference_stages(architecture);
  std::vector<std::string> names;
  for (auto stage = all.begin(); stage != all.end(); ++stage) names.push_back("forward " + stage->name);
  for (auto stage = all.rbegin(); stage != all.rend(); ++stage) names.push_back("backward " + stage->name);
  return names;
}

std::vector<BatchPart> parts_of_batch(int n, int chunk) {
  std::vector<BatchPart> parts;
  for (int first = 0; first < n; first += chunk) parts.push_back({first, std::min(chunk, n - first)});
  return parts;
}

void infer_pass(Engine& engine, const PixelBatch& batch, std::span<float> logits, const StageObserver& observe) {
  check_room(engine, batch, PlanMode::inference);
  Inference& inference = engine.inference();
  StageCounter observed(observe);
  inference.begin(batch);
  for (const Stage& stage : stage_table(engine.architecture())) {
    inference.run(stage);
    if (stage.kind == StageKind::head) inference.end(logits);
    if (!stage.joined) observed.done();
  }
}

void infer(Engine& engine, const Architecture& architecture, const PixelBatch& batch, std::span<float> logits,
           std::span<float> features, std::span<float> maps) {
  InferenceQueue queue(engine, architecture);
  queue.begin(batch, logits, features, maps);
  queue.finish();
}

InferenceQueue::~InferenceQueue() {
  try {
    engine_.inference().wait(0);
  } catch (const Error&) {  // the first error is the one to tell
  }
}

void InferenceQueue::run_passes(const PixelBatch& batch, std::span<float> logits, std::span<float> features,
                                std::span<float> maps, int& passes) {
  const auto feature_floats = static_cast<std::size_t>(feature_count(architecture_));
  const std::size_t map_floats = maps.size() / static_cast<std::size_t>(batch.n);
  // What a pass leaves in the engine is read before the next one begins, which waits for it.
  const auto read = [&](Activation activation, std::size_t first, std::size_t n, std::size_t floats,
                        std::span<float> to) {
    if (to.empty()) return;
    const auto values = engine_.inference().read(activation);
    std::copy_n(values->begin(), n * floats, to.begin() + static_cast<std::ptrdiff_t>(first * floats));
  };
  for (const auto [first, n] : reserve_parts(engine_, batch)) {
    const auto at = static_cast<std::size_t>(first), count = static_cast<std::size_t>(n);
    ++passes;
    infer_pass(engine_, batch.part(first, n), logits.subspan(at, count));
    read(Activation::features, at, count, feature_floats, features);
    read(Activation::maps, at, count, map_floats, maps);
  }
}

void InferenceQueue::begin(const PixelBatch& batch, std::span<float> logits, std::span<float> features,
                           std::span<float> maps) {
  int passes = 0;
  try {
    run_passes(batch, logits, features, maps, passes);
  } catch (...) {
    if (is_of_the_device()) failure_ = std::current_exception();  // perhaps of a pass under way: none can be trusted
    // Nothing may write to this batch's logits any more. Those under way get theirs, or finish() says why not.
    try {
      engine_.inference().wait(0);
    } catch (...) {
      failure_ = std::current_exception();
    }
    throw;
  }
  passes_.push_back(passes);
}

void InferenceQueue::finish() {
  passes_.pop_front();
  if (failure_) std::rethrow_exception(failure_);
  engine_.inference().wait(std::accumulate(passes_.begin(), passes_.end(), 0));
}

TrainingResult forward_backward(Engine& engine, const TrainingBatch& batch, const TrainingOptions& options,
                                const DrawKey& key, float loss_scale, GradientMode mode, const InjectedDraws& injected,
                                const StageObserver& observe) {
  check_step(engine, batch, options);
  engine.reserve({batch.pixels.n, batch.pixels.height, batch.pixels.width, PlanMode::training, batch.teacher.any()});
  Training& training = engine.training();
  StageCounter observed(observe);

  TrainingResult result;
  training.begin(batch.pixels, {batch.labels, loss_scale, options, key, injected, batch.teacher});
  const std::span<const Stage> table = stage_table(engine.architecture());
  for (const Stage& stage : table) {
    training.forward(stage);
    if (stage.kind == StageKind::head) result = training.end();
    if (!stage.joined) observed.done();
  }
  for (std::size_t i = table.size(); i-- > 0;) {
    training.backward(table[i], mode);
    if (i == 0 || !table[i - 1].joined) observed.done();
  }
  return result;
}

}  // namespace lfm
