// What the engine asks of cuDNN and cuBLAS: problems made into calls once, and called as often as wanted. On the GPU
// the libraries answer (libraries_cuda.cpp); on the emulated device plain loops stand in for them
// (libraries_emulated.cpp), so that what lies around a library's call is tested without one.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "kernels/target.h"
#include "src/engine/cuda/cublas.h"
#include "src/engine/cuda/cudnn.h"
#include "src/engine/cuda/provider.h"

namespace lfm::inline LFM_TARGET {

using ConvolutionCall = std::function<void(const CudnnConvolution::Arrays& arrays, kernels::Stream stream)>;
using ProductCall = std::function<void(const CublasProduct::Arrays& arrays, kernels::Stream stream)>;

class Libraries {
 public:
  /// Opens those that the stages use, for the current device. Throws Error{device} naming the remedy where one is
  /// missing.
  explicit Libraries(const Providers& providers);
  ~Libraries();
  Libraries(Libraries&&) noexcept;

  /// Calls that take at most so many bytes of workspace, and must go before the libraries. Throw Error{device}.
  ConvolutionCall convolution(const ConvolutionProblem& problem, std::size_t workspace);
  ProductCall product(const ProductProblem& problem, std::size_t workspace);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lfm::inline LFM_TARGET
