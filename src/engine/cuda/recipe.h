// Which kernels compute the blocks of inference: a row a recipe. The choice is by the GPU's compute capability, the
// precision and the user's options alone: no device is asked. A recipe's kernels are launched in inference.cpp, its
// weights packed and its blocks of threads counted in convolution.cpp, its buffers laid in plan.cpp. Of the ResNet
// trunk the recipe's precision alone says how it is convolved (resnet.h).
#pragma once

#include <span>

#include "lfm/precision.h"
#include "src/engine/cuda/provider.h"

namespace lfm {

/// Compute capabilities as 10 * major + minor. The oldest that the kernels are compiled for is Turing's.
inline constexpr int kOldestCapability = 75;
inline constexpr int kNewestCapability = 999;

/// How blocks 2 to 4 are convolved.
enum class BlockConvolution {
  direct,    ///< FFMA, with the products of the definition and no others (conv2x2_direct.cu)
  winograd,  ///< FFMA, F(2x2, 2x2) (conv2x2_winograd.cu)
  tensor,    ///< tensor cores (conv2x2_tensor.cu, last_block_tensor.cu)
  wgmma,     ///< Hopper's by warpgroups (conv2x2_wgmma.cu, last_block_wgmma.cu)
};

struct Recipe {
  const char* name;  ///< for people
  Precision precision;
  int capability_from, capability_to;  ///< both included
  BlockConvolution convolution;
  int weight_factors;     ///< that a pair of channels is packed as: four taps, or nine points
  bool fuses_projection;  ///< with block 4, whose maps then are never in memory
  int resident_blocks;    ///< blocks of threads of its convolutions on a multiprocessor: docs/KERNEL-RESOURCES.md
  Providers providers{};  ///< of stages that a library computes in place of these kernels

  constexpr bool runs_on(int capability) const { return capability >= capability_from && capability <= capability_to; }
};

struct RecipeOptions {
  bool winograd = true;
  bool wgmma = true;
};

/// The better come first.
std::span<const Recipe> recipes();

/// Whether any recipe of that precision runs there.
bool multiplies(int capability, Precision precision);

/// The first recipe of the precision that runs there and that the options allow. Throws Error{usage} where there is
/// none.
const Recipe& choose(int capability, Precision precision, const RecipeOptions& options = {});

/// The recipe with stages of libraries in it. Where block 4 and the projection are one kernel, both are a library's or
/// neither: beside a library's, cuBLAS computes the other.
Recipe with_providers(Recipe recipe, const Providers& providers);

}  // namespace lfm
