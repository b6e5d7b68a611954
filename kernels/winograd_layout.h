// How the weights of conv2x2_winograd lie in memory: known to the kernel, and to the host code that packs them.
//
// A block sums over slabs of four input channels. What it multiplies a slab with, for each of the nine points and its
// 64 output channels, waits in global memory in the order of its use, as it lies in shared memory:
//   [oc/64][ic/4] stages of [point][ic%4][oc%64] floats, 9 KiB each: 16 bytes for every thread
#pragma once

#include <cstddef>

namespace lfm::kernels {

struct WinogradTile {
  static constexpr int kSide = 8;  ///< pooling windows of a block, across and down
  static constexpr int kPoints = 9;
  static constexpr int kDepth = 4;     ///< input channels of a slab
  static constexpr int kColumns = 64;  ///< output channels of a block
  static constexpr int kStageFloats = kPoints * kDepth * kColumns;
};

/// Where the transformed weight of a point, an input and an output channel lies.
constexpr std::size_t winograd_weight_at(int point, int c, int o, int ic) {
  using Tile = WinogradTile;
  const int stage = o / Tile::kColumns * (ic / Tile::kDepth) + c / Tile::kDepth;
  return static_cast<std::size_t>(stage) * Tile::kStageFloats +
         static_cast<std::size_t>((point * Tile::kDepth + c % Tile::kDepth) * Tile::kColumns + o % Tile::kColumns);
}

}  // namespace lfm::kernels
