// How the tensor-core convolutions tile their work and lay it out in memory: known to the kernels, and to the host code
// that packs weights.
//
// A block computes a tile of 16 x 8 positions by 128 channels. It sums over slabs: the channels that fill 64 bytes (32
// halves, 16 TF32), and within a slab over the four taps. Of a slab it needs
//   the patch    17 x 9 positions of 64 bytes, all that the four taps of the tile read
//   four stages  8 KiB each: the weights of one tap, 128 columns of 64 bytes that run along the input's channels
// Weights wait in global memory in the order of their use, each stage as it lies in shared memory: 512 consecutive
// chunks of 16 bytes.
//
// Bank conflicts. ldmatrix reads eight rows of 16 bytes at a time, and they must lie in eight different sixteenth parts
// of a 128-byte line. For weights the eight rows are consecutive columns; in the patch they are every other position of
// an image row, so that a thread's sums hold whole pooling windows. Two rows share a line: columns n and n+1, positions
// p and p+2. The four chunks of a row are then permuted by the number of its pair of lines.
#pragma once

#include "src/machine/host_device.h"

namespace lfm::kernels {

struct ConvTile {
  static constexpr int kWidth = 16;  ///< positions
  static constexpr int kHeight = 8;
  static constexpr int kColumns = 128;  ///< output channels
  static constexpr int kTaps = 4;
  static constexpr int kPatchWidth = kWidth + 1;
  static constexpr int kPatchHeight = kHeight + 1;
  static constexpr int kSlabBytes = 64;
  static constexpr int kSlabChunks = kSlabBytes / 16;
  static constexpr int kPatchChunks = (kPatchWidth * kPatchHeight + 3) / 4 * 4 * kSlabChunks;
  static constexpr int kStageBytes = kColumns * kSlabBytes;
  static constexpr int kStageChunks = kStageBytes / 16;

  /// Of an output of h x w positions.
  static constexpr int tiles(int h, int w) { return (h + kHeight - 1) / kHeight * ((w + kWidth - 1) / kWidth); }
};

/// The same tile as Hopper's warpgroups read it from shared memory: eight rows' chunks side by side. A stage has the
/// first chunks of all columns, then the second ones, and so on; the patch the first chunks of all positions, row by
/// row. Of a row the even positions come first: those that a product of 64 even, or 64 odd positions multiplies lie
/// side by side whatever the tap, and what it leaves in a thread are the positions of a window. Four lanes copy a
/// position's chunks and eight of them two positions', to eight different parts of a line: a row of first chunks and
/// its second ones lie a line and a quarter of lines apart.
struct WarpgroupTile {
  static constexpr int kPositions = ConvTile::kPatchWidth * ConvTile::kPatchHeight;
  static constexpr int kPatchPlane = (kPositions + 5) / 8 * 8 + 2;  ///< chunks from a position's first to its second
  static constexpr int kPatchChunks = kPatchPlane * ConvTile::kSlabChunks;
  static constexpr int kOddPositions = (ConvTile::kPatchWidth + 1) / 2;  ///< where they begin
  static_assert(kPatchPlane >= kPositions && kPatchPlane % 8 == 2);
};

/// Where chunk 0...3 of column n of a stage lies.
LFM_HOST_DEVICE constexpr int warpgroup_weight_chunk(int n, int chunk) { return chunk * ConvTile::kColumns + n; }

/// What a block of padded_conv computes, and of padded_conv_tensor, whose stage has the weights of so many columns.
struct PaddedConvTile {
  static constexpr int kRows = 128;  ///< positions
  static constexpr int columns(int oc) { return oc % 128 == 0 ? 128 : 64; }
};

/// The 1x1 convolution to 64 maps that follows the last block: a stage holds, for 64 maps, 128 bytes of input channels.
struct ProjectionTile {
  static constexpr int kMaps = 64;
  static constexpr int kRowChunks = 8;
  static constexpr int kRowBytes = kRowChunks * 16;
};
static_assert(ProjectionTile::kMaps * ProjectionTile::kRowBytes == ConvTile::kStageBytes);

/// Where chunk 0...3 of patch position p lies, in chunks.
LFM_HOST_DEVICE constexpr int patch_chunk(int p, int chunk) {
  const int line = p / 4 * 2 + p % 2, half = p / 2 % 2;
  return line * 8 + half * 4 + (chunk ^ p / 4 % 4);
}

/// Where chunk 0...3 of column n of a stage lies.
LFM_HOST_DEVICE constexpr int weight_chunk(int n, int chunk) { return n * 4 + (chunk ^ n / 2 % 4); }

/// Where chunk 0...7 of a map's row of a projection stage lies.
LFM_HOST_DEVICE constexpr int projection_chunk(int map, int chunk) { return map * 8 + (chunk ^ map % 8); }

/// Where chunk 0...3 of a map's row of a projection stage lies that a warpgroup reads, which is half as long.
LFM_HOST_DEVICE constexpr int warpgroup_projection_chunk(int map, int chunk) {
  return chunk * ProjectionTile::kMaps + map;
}

/// The output channel, of the 64 that a warp computes, that column n of its tile stands for. An mma leaves columns 2t
/// and 2t+1 of every eight in one thread; this order makes those of `tiles` mma consecutive channels of 16 bytes, and
/// the four threads of a row store 64 bytes side by side. tiles: 4 for halves, 2 for TF32.
LFM_HOST_DEVICE constexpr int channel_of_column(int n, int tiles) {
  const int mma = n / 8, t = n % 8 / 2;
  return mma / tiles * 8 * tiles + t * 2 * tiles + mma % tiles * 2 + n % 2;
}

}  // namespace lfm::kernels
