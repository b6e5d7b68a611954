// What load() makes of a model's parameters for inference: batch norm and 1/(255 std) folded in, Winograd-transformed,
// packed.
#pragma once

#include <span>
#include <vector>

#include "src/engine/cpu/buffer.h"
#include "src/engine/cpu/kernels.h"
#include "src/engine/cpu/thread_pool.h"
#include "src/model/architecture.h"
#include "src/model/fold.h"

namespace lfm::cpu {

/// Blocks 2 to 4: U = G g G^T per channel pair, as [oc/64][frequency][64/panel][ic][panel], in BF16
/// ...[ic/2][panel][2]: the products read it from end to end.
struct ConvWeights {
  int ic = 0;
  int oc = 0;
  Buffer transformed;
  Buffer bias;  ///< [oc]
};

ConvWeights pack_conv(const FoldedBlock& folded, int ic, int oc, const PrecisionKernels& kernels, ThreadPool& pool);

struct InferenceWeights {
  Buffer first;       ///< [64/16][12 taps: 00 01 10 11, each r g b][16], always FP32
  Buffer first_bias;  ///< [64]
  std::array<ConvWeights, 3> conv;
  Buffer projection;  ///< [64/panel][512][panel], in BF16 [64/panel][256][panel][2]
  std::vector<float> head;
  float head_bias = 0;  ///< no number where one of the others is none: the logit shows it
};

/// values: laid out by parameter_table(architecture).
InferenceWeights pack_weights(const Architecture& architecture, std::span<const float> values,
                              const PrecisionKernels& kernels, ThreadPool& pool);

}  // namespace lfm::cpu
