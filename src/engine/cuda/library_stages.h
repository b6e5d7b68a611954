// The stages of an inference pass that libraries compute, and what stands around their calls: unfolding before, pooling
// behind. Calls are made for a number of images before a pass of so many is launched, so that recording a graph makes
// none.
#pragma once

#include <map>

#include "src/engine/cuda/inference.h"
#include "src/engine/cuda/libraries.h"

namespace lfm::inline LFM_TARGET {

class LibraryStages {
 public:
  /// Throws as Libraries does.
  explicit LibraryStages(const Providers& providers) : libraries_(providers) {}

  /// Another size of images, or another model: forgets the calls.
  void forget() { calls_.clear(); }
  /// Makes the calls for passes of n images, unless they are there.
  void prepare(const InferencePlan& plan, const Architecture& architecture, int n);
  /// Launches a stage of a library's; what pass.n images take was prepared.
  void launch(const InferencePass& pass, const Stage& stage, kernels::Stream stream) const;

 private:
  /// By the stages' indices; empty where the stage is the engine's own.
  struct Calls {
    std::array<ConvolutionCall, kStages.size()> convolution;
    std::array<ProductCall, kStages.size()> product;
  };
  void convolve(const InferencePass& pass, const Stage& stage, kernels::Stream stream) const;

  Libraries libraries_;
  std::map<int, Calls> calls_;  // by images
};

}  // namespace lfm::inline LFM_TARGET
