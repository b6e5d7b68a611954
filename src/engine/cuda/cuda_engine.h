// The CUDA engine, on the GPU or on the emulated device: see src/engine/engine.h for the contract. Inference is in cuda_engine.cpp, training
// in cuda_training.cpp.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/engine/cuda/collective.h"
#include "src/engine/cuda/device.h"
#include "src/engine/cuda/plan.h"
#include "src/engine/cuda/training.h"
#include "src/engine/engine.h"

namespace lfm::inline LFM_TARGET {

class CudaEngine final : public Engine {
 public:
  /// ordinal: as device::Context takes it.
  CudaEngine(int ordinal, std::string description);

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
  // One of two places where images wait on their way to the device.
  struct UploadSlot {
    explicit UploadSlot(const device::Context& context) : uploaded(context), consumed(context) {}
    device::PinnedMemory staging;
    device::Event uploaded;  // the device has the images: the staging memory may be overwritten
    device::Event consumed;  // the first block has read them: the device's copy may be overwritten
  };

  template <typename T = float>
  T* activation(const Region& region) const {
    return reinterpret_cast<T*>(arena_.data() + region.offset);
  }
  float* weight(const Region& region) const { return reinterpret_cast<float*>(weights_.data() + region.offset); }
  void upload_weights(std::span<const float> values);
  void refresh_weights();
  CudaTraining& training();
  void convolve(int block);
  std::vector<float> download(const Region& region, int n);

  device::Context context_;
  std::string description_;
  device::Stream upload_, compute_;
  std::array<UploadSlot, 2> slots_;
  std::size_t next_slot_ = 0;
  device::PinnedMemory logits_;  // on their way to the host

  Architecture architecture_;
  std::vector<float> parameters_;
  WeightPlan weight_plan_;
  device::Memory weights_;
  InferencePlan plan_;
  device::Memory arena_;
  int n_ = 0;  // images of the pass under way, at most plan_.n
  PlanMode pass_ = PlanMode::inference;  // the last one, for read()

  std::unique_ptr<CudaTraining> training_;  // once there is any; it then has the parameters
  bool trained_ = false;                    // since the weights of inference were folded
  Communicator communicator_;
  std::unique_ptr<device::Collective> collective_;
};

}  // namespace lfm::inline LFM_TARGET
