// The CPU engine's training stages.
#include <algorithm>

#include "lfm/error.h"
#include "src/engine/cpu/cpu_engine.h"

namespace lfm::cpu {
namespace {

[[noreturn]] void not_available() { throw Error(ErrorCode::usage, "training on the cpu engine is not available"); }

}  // namespace

void CpuEngine::train_first_block(const PixelBatch&) { not_available(); }
void CpuEngine::train_block(int) { not_available(); }
void CpuEngine::train_last_block() { not_available(); }
void CpuEngine::train_pool(const TrainingOptions&, const DrawKey&, const InjectedDraws&) { not_available(); }
TrainingResult CpuEngine::train_head(std::span<const std::uint8_t>, float) { not_available(); }
void CpuEngine::backward_head(GradientMode) { not_available(); }
void CpuEngine::backward_pool() { not_available(); }
void CpuEngine::backward_last_block(GradientMode) { not_available(); }
void CpuEngine::backward_block(int, GradientMode) { not_available(); }
void CpuEngine::backward_first_block(GradientMode) { not_available(); }
double CpuEngine::adam_step(const AdamOptions&, std::uint64_t) { not_available(); }
void CpuEngine::read_gradients(std::span<float>) { not_available(); }
void CpuEngine::read_moments(std::span<float>, std::span<float>) { not_available(); }
void CpuEngine::write_moments(std::span<const float>, std::span<const float>) { not_available(); }
void CpuEngine::set_communicator(Communicator) { not_available(); }

void CpuEngine::read_parameters(std::span<float> values) { std::copy(parameters_.begin(), parameters_.end(), values.begin()); }

}  // namespace lfm::cpu
