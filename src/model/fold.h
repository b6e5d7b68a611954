// What inference folds at load, for every engine: batch norm (running statistics) and the scale of the residual
// into the convolutions, so that each block is  y = max(0, pool(conv(x, weight)) + bias).
#pragma once

#include <array>
#include <span>
#include <vector>

#include "src/model/architecture.h"

namespace lfm {

struct FoldedBlock {
  std::vector<float> weight;  ///< [oc][ic][2][2]; the first block's input is the residual in grey levels
  std::vector<float> bias;    ///< [oc]; the convolution's bias and the norm's shift in one
};

/// Computed in double, rounded once. values: laid out by the architecture's table. With g = scale/sqrt(running_var + eps):
/// weight = g * weight, bias = g * (bias - running_mean) + shift; the first block's weight also times the front end's scale(ic).
std::array<FoldedBlock, kBlocks> fold_blocks(const Architecture& architecture, std::span<const float> values);

}  // namespace lfm
