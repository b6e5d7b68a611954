// The CPU engine: see src/engine/engine.h for the contract. Inference is in cpu_engine.cpp, training in cpu_training.cpp.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/conv_block.h"
#include "src/engine/cpu/kernels.h"
#include "src/engine/cpu/thread_pool.h"
#include "src/engine/cpu/training/training.h"
#include "src/engine/cpu/weights.h"
#include "src/engine/engine.h"

namespace lfm::cpu {

/// Where the activations of images, or of one strip of a large image, lie: offsets in floats from the start of their arena part.
struct ActivationPlan {
  int n = 0;
  NetworkShape shape;
  std::array<ConvPlan, 3> conv;
  std::array<std::size_t, 3> block{};  ///< [n][h][w][c] of blocks 1 to 3, in the engine's precision
  std::size_t last = 0;                ///< [512/64][n][h][w][64], likewise: slabs for the projection
  std::size_t scratch = 0;
  std::size_t total = 0;
};

/// One inference request. A large image passes through the network in strips of map rows, each computed from its own rows of pixels
/// (8 per map row and 16 more, the receptive field), so that only its maps are ever whole in memory.
struct InferencePlan {
  NetworkShape shape;         ///< of the whole image
  int strips = 1;             ///< more only for a single image
  ActivationPlan part;        ///< of all n images, or of the tallest strip
  std::size_t maps = 0;       ///< [n][h*w][64], FP32
  std::size_t features = 0;  ///< [n][feature_count]
  std::size_t selection = 0;  ///< [threads][k][64]: scratch of the top-k
  std::size_t parts = 0;      ///< where part begins
  std::size_t total = 0;
};

/// Images of more pixels are cut into strips.
inline constexpr std::int64_t kStripPixels = 1'500'000;

class CpuEngine final : public Engine {
 public:
  /// precision: one of the kernels' own; training always takes their FP32.
  CpuEngine(int threads, const Kernels& kernels, const PrecisionKernels& precision, std::int64_t strip_pixels = kStripPixels);

  std::string description() const override;
  void load(const Architecture& architecture, std::span<const float> values) override;
  void reserve(const PlanRequest& request) override;
  std::size_t arena_bytes(const PlanRequest& request) const override;
  int inference_chunk(int height, int width) const override;

  void infer_first_block(const PixelBatch& batch) override;
  void infer_block(int block) override;
  void infer_last_block() override;
  void infer_pool() override;
  void infer_head(std::span<float> logits) override;
  std::optional<std::vector<float>> read(Activation activation) override;
  Precision inference_precision() const override { return inference_.precision; }

  void train_first_block(const PixelBatch& batch) override;
  void train_block(int block) override;
  void train_last_block() override;
  void train_pool(const TrainingOptions& options, const DrawKey& key, const InjectedDraws& injected) override;
  TrainingResult train_head(std::span<const std::uint8_t> labels, float loss_scale, const Distillation& teacher) override;
  void backward_head(GradientMode mode) override;
  void backward_pool() override;
  void backward_last_block(GradientMode mode) override;
  void backward_block(int block, GradientMode mode) override;
  void backward_first_block(GradientMode mode) override;
  double adam_step(const AdamOptions& options, std::uint64_t step) override;

  void read_parameters(std::span<float> values) override;
  void read_gradients(std::span<float> gradients) override;
  void read_moments(std::span<float> m, std::span<float> v) override;
  void write_moments(std::span<const float> m, std::span<const float> v) override;
  void set_communicator(Communicator communicator) override;

 private:
  InferencePlan plan_inference(int n, int height, int width) const;
  ActivationPlan plan_activations(int n, int height, int width, bool keep_all) const;
  void first_block(const ActivationPlan& plan, const PixelBatch& batch);
  void middle_block(const ActivationPlan& plan, int block);
  void last_block(const ActivationPlan& plan, float* maps);
  void infer_strips();

  std::vector<float> channels_first(const float* data, MapSize size, int channels, std::size_t pixel, std::size_t group,
                                    Precision precision) const;

  const Kernels& kernels_;
  const PrecisionKernels& inference_;
  std::int64_t strip_pixels_;
  ThreadPool pool_;
  Architecture architecture_;
  std::vector<float> parameters_;
  InferenceWeights weights_;
  bool weights_stale_ = false;  // training went on since they were packed
  InferencePlan plan_;
  PixelBatch batch_;  ///< of the pass under way; strips read it late
  Buffer arena_;
  Training training_;
  PlanMode mode_ = PlanMode::inference;  // of the last reserve(): whose activations read() finds
};

}  // namespace lfm::cpu
