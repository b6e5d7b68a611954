#include "src/engine/network.h"

#include <algorithm>
#include <cstddef>

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

/// Also where a pass throws, nothing may write to the caller's logits any more.
class WaitAtEnd {
 public:
  explicit WaitAtEnd(Engine& engine) : engine_(engine) {}
  WaitAtEnd(const WaitAtEnd&) = delete;
  WaitAtEnd& operator=(const WaitAtEnd&) = delete;
  ~WaitAtEnd() {
    try {
      engine_.infer_wait();
    } catch (const Error&) {  // the first error is the one to tell
    }
  }

 private:
  Engine& engine_;
};

}  // namespace

void infer(Engine& engine, const Architecture& architecture, const PixelBatch& batch, std::span<float> logits,
           std::span<float> features, std::span<float> maps) {
  const int chunk = reserve_chunk(engine, batch);
  const std::size_t image_bytes = std::size_t{3} * batch.height * batch.width;
  const std::size_t feature_floats = static_cast<std::size_t>(feature_count(architecture));
  const std::size_t map_floats = maps.size() / static_cast<std::size_t>(batch.n);
  const WaitAtEnd wait(engine);

  for (int first = 0; first < batch.n; first += chunk) {
    const int n = std::min(chunk, batch.n - first);
    const PixelBatch part{batch.pixels + first * image_bytes, n, batch.height, batch.width};
    //                               at 256 x 256:
    engine.infer_first_block(part);  // pixels   [n][256][256][3] -> residual -> conv, norm, ReLU, pool [n][ 64][127][127]
    engine.infer_block(1);           //                                       -> conv, norm, ReLU, pool [n][128][ 63][ 63]
    engine.infer_block(2);           //                                       -> conv, norm, ReLU, pool [n][256][ 31][ 31]
    engine.infer_last_block();       // conv, norm, ReLU [n][512][30][30]     -> 1x1                    [n][ 64][ 30][ 30]
    engine.infer_pool();             // the k largest of each map             -> features               [n][ 64][ 16]
    engine.infer_head(logits.subspan(first, n));  // linear                   -> logits                 [n]
    if (!features.empty()) {  // waits; without, the next chunk's images are copied while this one is computed
      const auto values = engine.read(Activation::features);
      std::copy_n(values->begin(), n * feature_floats, features.begin() + first * feature_floats);
    }
    if (!maps.empty()) {
      const auto values = engine.read(Activation::maps);
      std::copy_n(values->begin(), n * map_floats, maps.begin() + first * map_floats);
    }
  }
  engine.infer_wait();
}

TrainingResult forward_backward(Engine& engine, const TrainingBatch& batch, const TrainingOptions& options,
                                const DrawKey& key, float loss_scale, GradientMode mode, const InjectedDraws& injected) {
  engine.reserve({batch.pixels.n, batch.pixels.height, batch.pixels.width, PlanMode::training});

  engine.train_first_block(batch.pixels);
  engine.train_block(1);
  engine.train_block(2);
  engine.train_last_block();
  engine.train_pool(options, key, injected);
  TrainingResult result = engine.train_head(batch.labels, loss_scale);

  engine.backward_head(mode);
  engine.backward_pool();
  engine.backward_last_block(mode);
  engine.backward_block(2, mode);
  engine.backward_block(1, mode);
  engine.backward_first_block(mode);
  return result;
}

}  // namespace lfm
