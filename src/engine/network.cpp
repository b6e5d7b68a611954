#include "src/engine/network.h"

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
int reserve_chunk(Engine& engine, const PixelBatch& batch) {
  int chunk = std::min(batch.n, engine.inference_chunk(batch.height, batch.width));
  for (;;) {
    try {
      engine.reserve({chunk, batch.height, batch.width, PlanMode::inference});
      return chunk;
    } catch (const OutOfMemory&) {
      const int smaller = std::min(chunk, engine.inference_chunk(batch.height, batch.width));
      if (smaller == chunk) throw;
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

std::vector<ObservedStage> observed(const StageTable& table) {
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

std::vector<ObservedStage> inference_stages() { return observed(kStages); }

std::vector<ObservedStage> inference_stages(const Architecture& architecture, int height, int width) {
  return observed(stages(architecture, height, width));
}

std::vector<std::string> training_stage_names() {
  const std::vector<ObservedStage> all = inference_stages();
  std::vector<std::string> names;
  for (auto stage = all.begin(); stage != all.end(); ++stage) names.push_back("forward " + stage->name);
  for (auto stage = all.rbegin(); stage != all.rend(); ++stage) names.push_back("backward " + stage->name);
  return names;
}

void infer_pass(Engine& engine, const PixelBatch& batch, std::span<float> logits, const StageObserver& observe) {
  StageCounter stage(observe);
  //                               at 256 x 256:
  engine.infer_first_block(batch);  // pixels   [n][256][256][3] -> residual -> conv, norm, ReLU, pool [n][ 64][127][127]
  stage.done();
  engine.infer_block(1);            //                                       -> conv, norm, ReLU, pool [n][128][ 63][ 63]
  stage.done();
  engine.infer_block(2);            //                                       -> conv, norm, ReLU, pool [n][256][ 31][ 31]
  stage.done();
  engine.infer_last_block();        // conv, norm, ReLU [n][512][30][30]     -> 1x1                    [n][ 64][ 30][ 30]
  stage.done();
  engine.infer_pool();              // the k largest of each map             -> features               [n][ 64][ 16]
  stage.done();
  engine.infer_head(logits);        // linear                                -> logits                 [n]
  stage.done();
}

void infer(Engine& engine, const Architecture& architecture, const PixelBatch& batch, std::span<float> logits,
           std::span<float> features, std::span<float> maps) {
  InferenceQueue queue(engine, architecture);
  queue.begin(batch, logits, features, maps);
  queue.finish();
}

InferenceQueue::~InferenceQueue() {
  try {
    engine_.infer_wait(0);
  } catch (const Error&) {  // the first error is the one to tell
  }
}

void InferenceQueue::run_passes(const PixelBatch& batch, std::span<float> logits, std::span<float> features, std::span<float> maps,
                                int& passes) {
  const int chunk = reserve_chunk(engine_, batch);
  const auto feature_floats = static_cast<std::size_t>(feature_count(architecture_));
  const std::size_t map_floats = maps.size() / static_cast<std::size_t>(batch.n);
  // What a pass leaves in the engine is read before the next one begins, which waits for it.
  const auto read = [&](Activation activation, std::size_t first, std::size_t n, std::size_t floats, std::span<float> to) {
    if (to.empty()) return;
    const auto values = engine_.read(activation);
    std::copy_n(values->begin(), n * floats, to.begin() + static_cast<std::ptrdiff_t>(first * floats));
  };
  for (int first = 0; first < batch.n; first += chunk) {
    const int n = std::min(chunk, batch.n - first);
    const auto at = static_cast<std::size_t>(first), count = static_cast<std::size_t>(n);
    ++passes;
    infer_pass(engine_, batch.part(first, n), logits.subspan(at, count));
    read(Activation::features, at, count, feature_floats, features);
    read(Activation::maps, at, count, map_floats, maps);
  }
}

void InferenceQueue::begin(const PixelBatch& batch, std::span<float> logits, std::span<float> features, std::span<float> maps) {
  int passes = 0;
  try {
    run_passes(batch, logits, features, maps, passes);
  } catch (...) {
    if (is_of_the_device()) failure_ = std::current_exception();  // perhaps of a pass under way: none can be trusted
    // Nothing may write to this batch's logits any more. Those under way get theirs, or finish() says why not.
    try {
      engine_.infer_wait(0);
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
  engine_.infer_wait(std::accumulate(passes_.begin(), passes_.end(), 0));
}

TrainingResult forward_backward(Engine& engine, const TrainingBatch& batch, const TrainingOptions& options,
                                const DrawKey& key, float loss_scale, GradientMode mode, const InjectedDraws& injected,
                                const StageObserver& observe) {
  engine.reserve({batch.pixels.n, batch.pixels.height, batch.pixels.width, PlanMode::training, batch.teacher.any()});

  StageCounter stage(observe);
  engine.train_first_block(batch.pixels);
  stage.done();
  engine.train_block(1);
  stage.done();
  engine.train_block(2);
  stage.done();
  engine.train_last_block();
  stage.done();
  engine.train_pool(options, key, injected);
  stage.done();
  TrainingResult result = engine.train_head(batch.labels, loss_scale, batch.teacher);
  stage.done();

  engine.backward_head(mode);
  stage.done();
  engine.backward_pool();
  stage.done();
  engine.backward_last_block(mode);
  stage.done();
  engine.backward_block(2, mode);
  stage.done();
  engine.backward_block(1, mode);
  stage.done();
  engine.backward_first_block(mode);
  stage.done();
  return result;
}

}  // namespace lfm
