#include <optional>

#include "src/engine/cuda/libraries.h"

namespace lfm::inline LFM_TARGET {

struct Libraries::State {
  std::optional<Cudnn> cudnn;
  std::optional<Cublas> cublas;
};

Libraries::Libraries(const Providers& providers) : state_(std::make_unique<State>()) {
  if (providers.uses(Provider::cudnn)) state_->cudnn.emplace();
  if (providers.uses(Provider::cublas)) state_->cublas.emplace();
}
Libraries::~Libraries() = default;
Libraries::Libraries(Libraries&&) noexcept = default;

ConvolutionCall Libraries::convolution(const ConvolutionProblem& problem, std::size_t workspace) {
  const auto plan = std::make_shared<CudnnConvolution>(state_->cudnn.value(), problem, workspace);
  return [plan](const CudnnConvolution::Arrays& arrays, kernels::Stream stream) { plan->launch(arrays, stream); };
}

ProductCall Libraries::product(const ProductProblem& problem, std::size_t workspace) {
  const auto plan = std::make_shared<CublasProduct>(state_->cublas.value(), problem, workspace);
  return [plan](const CublasProduct::Arrays& arrays, kernels::Stream stream) { plan->launch(arrays, stream); };
}

}  // namespace lfm::inline LFM_TARGET
