// What each way of convolving blocks 2 to 4 has beside its kernels: how their weights are packed, and into how many
// blocks of threads they cut an image. A row each, in convolution.cpp; its kernels are launched in inference.cpp.
#pragma once

#include <cstddef>
#include <span>

#include "src/engine/cuda/plan.h"
#include "src/model/fold.h"
#include "src/model/map_size.h"

namespace lfm {

/// Writes the weights and biases of blocks 2 to 4, and the projection, to their regions of `memory`. blocks: folded,
/// [4]; projection [64][512].
void pack_convolutions(std::byte* memory, const WeightPlan& plan, std::span<const FoldedBlock> blocks,
                       std::span<const float> projection);

/// Blocks of threads that convolve an image to `out` in this block of the network, 1 to 3. Not always whole: one may
/// compute the end of an image and the beginning of the next.
double thread_blocks(const Recipe& recipe, int block, const MapSize& out);

}  // namespace lfm
