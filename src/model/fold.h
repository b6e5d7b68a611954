// What inference folds at load, for every engine: batch norm (running statistics) and the scale of the residual
// into the convolutions, so that each block is  y = max(0, pool(conv(x, weight)) + bias).
#pragma once

#include <array>
#include <span>
#include <vector>

#include "src/model/architecture.h"

namespace lfm {

struct FoldedBlock {
  std::vector<float> weight;  ///< [oc][ic][2][2] of a block; the first block's input is the residual in grey levels
  std::vector<float> bias;    ///< [oc]; the convolution's bias and the norm's shift in one
};

/// Computed in double, rounded once. values: laid out by the architecture's table. With g = scale/sqrt(running_var +
/// eps): weight = g * weight, bias = g * (bias - running_mean) + shift; the first block's weight also times the front
/// end's scale(ic).
std::array<FoldedBlock, kBlocks> fold_blocks(const Architecture& architecture, std::span<const float> values);

/// The same of one convolution of the ResNet trunk, by its row in kTrunkConvolutions: weight [oc][ic][kernel][kernel];
/// the stem's is of the residual in grey levels.
FoldedBlock fold_convolution(const Architecture& architecture, std::span<const float> values, int convolution);

}  // namespace lfm
