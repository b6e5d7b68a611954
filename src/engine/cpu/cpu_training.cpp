// The CPU engine's training stages, handed on to Training (training/training.h). Inference's packed weights go stale whenever a stage
// changes parameters or running statistics, and are packed again by the next inference.
#include <algorithm>

#include "src/engine/cpu/cpu_engine.h"

namespace lfm::cpu {

void CpuEngine::train_first_block(const PixelBatch& batch) {
  weights_stale_ = true;
  training_.first_block(batch);
}
void CpuEngine::train_block(int block) { training_.block(block); }
void CpuEngine::train_last_block() { training_.last_block(); }
void CpuEngine::train_pool(const TrainingOptions& options, const DrawKey& key, const InjectedDraws& injected) {
  training_.pool(options, key, injected);
}
TrainingResult CpuEngine::train_head(std::span<const std::uint8_t> labels, float loss_scale, const Distillation& teacher) {
  return training_.head(labels, loss_scale, teacher);
}

void CpuEngine::backward_head(GradientMode mode) { training_.backward_head(mode); }
void CpuEngine::backward_pool() { training_.backward_pool(); }
void CpuEngine::backward_last_block(GradientMode mode) { training_.backward_last_block(mode); }
void CpuEngine::backward_block(int block, GradientMode mode) { training_.backward_block(block, mode); }
void CpuEngine::backward_first_block(GradientMode mode) { training_.backward_first_block(mode); }

double CpuEngine::adam_step(const AdamOptions& options, std::uint64_t step) {
  weights_stale_ = true;
  return training_.adam_step(options, step);
}

void CpuEngine::read_parameters(std::span<float> values) { std::ranges::copy(parameters_, values.begin()); }
void CpuEngine::read_gradients(std::span<float> gradients) { std::ranges::copy(training_.gradients(), gradients.begin()); }
void CpuEngine::read_moments(std::span<float> m, std::span<float> v) {
  std::ranges::copy(training_.moments_m(), m.begin());
  std::ranges::copy(training_.moments_v(), v.begin());
}
void CpuEngine::write_moments(std::span<const float> m, std::span<const float> v) {
  std::ranges::copy(m, training_.moments_m().begin());
  std::ranges::copy(v, training_.moments_v().begin());
}
void CpuEngine::set_communicator(Communicator communicator) { training_.set_communicator(std::move(communicator)); }

}  // namespace lfm::cpu
