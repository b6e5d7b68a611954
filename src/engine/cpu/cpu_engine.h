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
#include "src/engine/cpu/weights.h"
#include "src/engine/engine.h"

namespace lfm::cpu {

/// Where the activations of one inference request lie in the arena, in floats.
struct InferencePlan {
  int n = 0;
  NetworkShape shape;
  std::array<ConvPlan, 3> conv;
  std::array<std::size_t, 3> block{};  ///< [n][h][w][c] of blocks 1 to 3
  std::size_t last = 0;                ///< [512/64][n][h][w][64]: slabs for the projection
  std::size_t maps = 0;                ///< [n][h*w][64]
  std::size_t features = 0;            ///< [n][feature_count]
  std::size_t scratch = 0;
  std::size_t total = 0;
};

class CpuEngine final : public Engine {
 public:
  CpuEngine(int threads, const Kernels& kernels);

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

  void train_first_block(const PixelBatch& batch) override;
  void train_block(int block) override;
  void train_last_block() override;
  void train_pool(const TrainingOptions& options, const DrawKey& key, const InjectedDraws& injected) override;
  TrainingResult train_head(std::span<const std::uint8_t> labels, float loss_scale) override;
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
  ConvShape conv_shape(const InferencePlan& plan, int block) const;
  std::vector<float> channels_first(const float* data, MapSize size, int channels, std::size_t pixel, std::size_t group) const;

  const Kernels& kernels_;
  ThreadPool pool_;
  Architecture architecture_;
  std::vector<float> parameters_;
  InferenceWeights weights_;
  InferencePlan plan_;
  Buffer arena_;
};

}  // namespace lfm::cpu
