// The CUDA engine's training stages.
#include <algorithm>

#include "lfm/error.h"
#include "src/engine/cuda/cuda_engine.h"

namespace lfm::inline LFM_TARGET {

namespace {

[[noreturn]] void not_available() { throw Error(ErrorCode::usage, "training on this engine is not available"); }

}  // namespace

void CudaEngine::train_first_block(const PixelBatch&) { not_available(); }
void CudaEngine::train_block(int) { not_available(); }
void CudaEngine::train_last_block() { not_available(); }
void CudaEngine::train_pool(const TrainingOptions&, const DrawKey&, const InjectedDraws&) { not_available(); }
TrainingResult CudaEngine::train_head(std::span<const std::uint8_t>, float) { not_available(); }
void CudaEngine::backward_head(GradientMode) { not_available(); }
void CudaEngine::backward_pool() { not_available(); }
void CudaEngine::backward_last_block(GradientMode) { not_available(); }
void CudaEngine::backward_block(int, GradientMode) { not_available(); }
void CudaEngine::backward_first_block(GradientMode) { not_available(); }
double CudaEngine::adam_step(const AdamOptions&, std::uint64_t) { not_available(); }
void CudaEngine::read_gradients(std::span<float>) { not_available(); }
void CudaEngine::read_moments(std::span<float>, std::span<float>) { not_available(); }
void CudaEngine::write_moments(std::span<const float>, std::span<const float>) { not_available(); }
void CudaEngine::set_communicator(Communicator) { not_available(); }

void CudaEngine::read_parameters(std::span<float> values) { std::copy(parameters_.begin(), parameters_.end(), values.begin()); }

}  // namespace lfm::inline LFM_TARGET
