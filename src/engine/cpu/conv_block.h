// Blocks 2 to 4: conv 2x2 by Winograd, batch norm folded, [2x2 maximum,] bias, ReLU. Activations are channels-last, in
// the kernels' precision.
#pragma once

#include <cstddef>

#include "src/engine/cpu/kernels.h"
#include "src/engine/cpu/thread_pool.h"
#include "src/engine/cpu/weights.h"
#include "src/model/architecture.h"

namespace lfm::cpu {

struct ConvShape {
  int n;
  MapSize in;
  MapSize out;  ///< after pooling
  int ic;
  int oc;
  bool pool;
};

/// How the tiles of a batch are cut, and the scratch that takes. The cut never changes a result.
///   by tiles:    a task transforms `block` tiles, multiplies them by every weight and finishes them: V and M stay in
///                L2.
///   by channels: the threads share the transformed input of `block` tiles, a task multiplies it by the weights of 64
///   output
///                channels: each weight is read once per block. For the last block, whose weights exceed L2 many times
///                over.
struct ConvPlan {
  int tile_rows;  ///< per image
  int tile_columns;
  int tiles;  ///< of the batch
  int block;  ///< tiles transformed together
  bool by_channels;
  std::size_t v_slab;       ///< [ic/64] slabs of [block][64 channels]
  std::size_t v_frequency;  ///< padded by a cache line, against set conflicts
  std::size_t m_frequency;  ///< [block][64], padded alike
  std::size_t shared_floats;
  std::size_t worker_floats;  ///< a worker's products, then, from their start:
  std::size_t padded;         ///< a tile that reaches over the map's edge
  std::size_t v;              ///< by tiles: transformed inputs
};
ConvPlan plan_conv(const ConvShape& shape, const PrecisionKernels& kernels, int threads);

/// out: channel group g (64 channels) of pixel p starts at out + g*group + p*pixel.
struct ConvOutput {
  float* data;
  std::size_t pixel;
  std::size_t group;
};

/// scratch: plan.shared_floats + threads * plan.worker_floats floats.
void conv_block(const ConvShape& shape, const ConvPlan& plan, const ConvWeights& weights, const float* in,
                const ConvOutput& out, float* scratch, const PrecisionKernels& kernels, ThreadPool& pool);

}  // namespace lfm::cpu
