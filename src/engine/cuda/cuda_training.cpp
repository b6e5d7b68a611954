// The CUDA engine's training stages, passed on to CudaTraining, and what training and inference have in common.
#include <algorithm>

#include "src/engine/cuda/cuda_engine.h"

namespace lfm::inline LFM_TARGET {

// Most engines only infer: the optimizer's memory is taken when training first asks for it.
CudaTraining& CudaEngine::training() {
  context_.make_current();
  if (!training_) {
    training_ = std::make_unique<CudaTraining>(context_, compute_, architecture_, parameters_, training_precision_);
    training_->set_communicator(communicator_, collective_.get());
  }
  return *training_;
}

void CudaEngine::train_first_block(const PixelBatch& batch) {
  n_trained_ = batch.n;
  const device::Range range("forward block", n_trained_, 0);
  training().first_block(batch);
  mode_ = PlanMode::training;
  trained_ = true;
}
void CudaEngine::train_block(int block) {
  const device::Range range("forward block", n_trained_, block);
  training().block(block);
}
void CudaEngine::train_last_block() {
  const device::Range range("forward block", n_trained_, kBlocks - 1);
  training().last_block();
}
void CudaEngine::train_pool(const TrainingOptions& options, const DrawKey& key, const InjectedDraws& injected) {
  const device::Range range("forward pool", n_trained_, kBlocks);
  training().pool(options, key, injected);
}
TrainingResult CudaEngine::train_head(std::span<const std::uint8_t> labels, float loss_scale, const Distillation& teacher) {
  const device::Range range("forward head", n_trained_, kBlocks + 1);
  return training().head(labels, loss_scale, teacher);
}

void CudaEngine::backward_head(GradientMode mode) {
  const device::Range range("backward head", n_trained_, kBlocks + 1);
  training().backward_head(mode);
}
void CudaEngine::backward_pool() {
  const device::Range range("backward pool", n_trained_, kBlocks);
  training().backward_pool();
}
void CudaEngine::backward_last_block(GradientMode mode) {
  const device::Range range("backward block", n_trained_, kBlocks - 1);
  training().backward_last_block(mode);
}
void CudaEngine::backward_block(int block, GradientMode mode) {
  const device::Range range("backward block", n_trained_, block);
  training().backward_block(block, mode);
}
void CudaEngine::backward_first_block(GradientMode mode) {
  const device::Range range("backward block", n_trained_, 0);
  training().backward_first_block(mode);
}

double CudaEngine::adam_step(const AdamOptions& options, std::uint64_t step) {
  const device::Range range("Adam", n_trained_);
  const double norm = training().adam_step(options, step);
  trained_ = true;
  return norm;
}

// Before inference: folds the parameters and statistics that training has moved.
void CudaEngine::refresh_weights() {
  if (!trained_) return;
  training_->read_parameters(parameters_);
  upload_weights(parameters_);
  trained_ = false;
}

void CudaEngine::read_parameters(std::span<float> values) {
  if (training_) return training_->read_parameters(values);
  std::copy(parameters_.begin(), parameters_.end(), values.begin());
}
void CudaEngine::read_gradients(std::span<float> gradients) { training().read_gradients(gradients); }
void CudaEngine::read_moments(std::span<float> m, std::span<float> v) { training().read_moments(m, v); }
void CudaEngine::write_moments(std::span<const float> m, std::span<const float> v) { training().write_moments(m, v); }

void CudaEngine::set_communicator(Communicator communicator) {
  communicator_ = std::move(communicator);
  compute_.synchronize();
  collective_ = communicator_.size > 1 ? device::make_collective(context_, communicator_) : nullptr;
  if (training_) training_->set_communicator(communicator_, collective_.get());
}

}  // namespace lfm::inline LFM_TARGET
