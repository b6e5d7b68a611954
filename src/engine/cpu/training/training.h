// The CPU engine's training stages: what they keep between each other, and where it lies. Their arithmetic is in the
// files beside.
//
// Every block of SNet keeps its convolution's output before batch norm (block 1 keeps none, see first_block.h) and,
// where it pools, the selected value of each 2x2; normalising and ReLU happen as the next stage reads. The ResNet
// trunk is in resnet_training.h. Parameters belong to the engine.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/training/batch_norm.h"
#include "src/engine/cpu/training/conv_training.h"
#include "src/engine/cpu/training/distillation.h"
#include "src/engine/cpu/training/first_block.h"
#include "src/engine/cpu/training/head.h"
#include "src/engine/cpu/training/pooling.h"
#include "src/engine/cpu/training/projection.h"
#include "src/engine/cpu/training/resnet_training.h"

namespace lfm::cpu {

/// Where a micro-batch's activations and gradients lie in the arena, in floats; all arithmetic, no memory.
struct TrainingPlan {
  int n = 0;

  // What is pooled, whatever the trunk:
  MapSize map;
  std::size_t maps = 0, grad_maps = 0;  ///< [channels/64][n][area][64]
  std::size_t features = 0, auxiliary = 0, factor = 0, position = 0, drawn = 0;

  // SNet's:
  NetworkShape shape;
  std::array<ConvTraining, 3> conv{};
  std::array<std::size_t, 3> pooled{};       ///< [n][out][c]: block 1 behind ReLU, blocks 2 and 3 before batch norm
  std::array<std::size_t, 3> conv_out{};     ///< blocks 2 to 4: [n][conv][c]
  std::array<std::size_t, 4> grad_pooled{};  ///< gradient of each block's output
  std::size_t winner = 0;
  std::size_t filters = 0, grad_filters = 0, first_images = 0, partial = 0, workers = 0;

  ResnetTrainingPlan resnet;  ///< in place of SNet's

  Plan arena;
};
TrainingPlan plan_training(const Architecture& architecture, const PlanRequest& request, int threads, int winner_bytes);

class CpuTraining final : public Training {
 public:
  CpuTraining(const Kernels& kernels, ThreadPool& pool);

  /// values: the engine's parameters, which outlive this. Resets the optimizer.
  void load(const Architecture& architecture, std::span<float> values);
  void reserve(const PlanRequest& request);
  Plan plan_for(const Architecture& architecture, const PlanRequest& request) const;
  void set_communicator(Communicator communicator) { communicator_ = std::move(communicator); }

  /// How often a stage has changed parameters or running statistics.
  std::uint64_t changes() const { return changes_; }

  void begin(const PixelBatch& batch, const TrainingStep& step) override;
  void forward(const Stage& stage) override;
  TrainingResult end() override { return result_; }
  void backward(const Stage& stage, GradientMode mode) override;
  double adam(const AdamOptions& options, std::uint64_t step) override;
  std::optional<std::vector<float>> read(Activation activation) override;

  void read_parameters(std::span<float> values) override;
  void read_gradients(std::span<float> gradients) override;
  void read_moments(std::span<float> m, std::span<float> v) override;
  void write_moments(std::span<const float> m, std::span<const float> v) override;

 private:
  std::span<float> state(std::size_t index);
  std::span<float> gradients() { return state(0); }
  std::span<float> moments_m() { return state(1); }
  std::span<float> moments_v() { return state(2); }
  std::span<float> value(int id) const { return parameter(values_, table_, id); }
  std::span<float> gradient(int id) { return parameter(gradients(), table_, id); }
  NormParameters norm_parameters(int b) const;
  FirstBlock::Pass first_pass() const;
  PoolingPass pooling_pass() const;
  Projection projection() const;
  ResnetStep resnet_step();
  bool is_resnet() const { return architecture_.trunk == Trunk::resnet; }
  Affine input_norm(int b) const;
  void forward_conv(int b);
  void backward_conv(int b, GradientMode mode);
  void head();
  void backward_head(GradientMode mode);
  void backward_pool();
  float* at(std::size_t offset) const { return arena_.data() + offset; }
  std::vector<float> channels_first(const float* data, MapSize size, int channels, const Affine& norm) const;
  std::vector<float> channels_first(const SlabMaps& maps) const;
  std::optional<std::vector<float>> read_resnet(Activation activation) const;

  Machine machine_;
  Architecture architecture_;
  ParameterTable table_ = parameter_table({});
  std::span<float> values_;
  Buffer state_;  // [3][trainable]: gradients, m, v; made when first needed
  Buffer arena_;
  TrainingPlan plan_;
  Communicator communicator_;
  TrainingStep step_;
  TrainingResult result_;
  bool maps_taught_ = false;  // the maps' gradient already has a teacher's part
  PixelBatch batch_;
  std::uint64_t changes_ = 0;

  FirstBlock first_;
  std::array<BatchNorm, 3> norm_;                 // blocks 2 to 4
  std::array<std::vector<double>, 3> grad_sums_;  // of blocks 2 to 4: [2][c], what batch norm's backward waits for
  std::vector<double> sums_;
  Buffer identity_;  // ones, then zeros: the norm of an input that is normalised already
  LinearHead head_;  // of the parameters as they are in this step
  Branch main_, auxiliary_;
  ResnetTraining resnet_;
};

}  // namespace lfm::cpu
