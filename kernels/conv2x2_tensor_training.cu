// conv2x2_tensor_training: y = conv2x2(x, w) + bias on tensor cores, in BF16 or TF32 with FP32 sums, stored as batch
// norm reads it, in BF16 or FP32; and, of the gradient with its border of zeros and the weight turned around, the
// gradient of the input (conv2x2_direct_training.cu tells why).
//   x [n][h][w][ic]   weight packed in stages   bias [oc] or none   ->   y [n][h-1][w-1][oc]
// Implicit GEMM (tensor_conv.cuh), as conv2x2_tensor's but for what follows the sums.
//   grid   (n * ceil((h-1)/8) * ceil((w-1)/16), oc/128 or oc/64)
//   block 128 threads, 16 x 8 positions x 128 or 64 channels
//   warp   4 image rows x half of the channels: 4 x 8 mma or 4 x 4; 128 or 64 sums a thread
// Columns stand in the order of channel_of_column for two mma: a thread stores four channels of a position, four
// threads 32 bytes side by side, or 64 in FP32.
//
// pack: weight [taps][ic][oc] -> stages [columns of blocks][slab][tap], each as it lies in shared memory. A thread
// writes one chunk of 16 bytes; 16 lanes take columns that are 16 consecutive channels, two lanes the two halves of a
// sector: reads of the forward weight, and all writes, fill their sectors. Weights are rounded here, from the FP32 ones
// that Adam moves.
#include <type_traits>

#include "kernels/conv2x2_tensor_training.h"
#include "kernels/tensor_conv.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kTilesM = 4;
constexpr int kWarpsAcross = 2;
constexpr int kPackThreads = 256;
constexpr int kGemmColumns = 64;  // of a block of the 1x1 convolution
constexpr int kChannelTiles = 2;  // mma whose columns are four consecutive channels of a thread

// Channels a block computes, of so many in all.
constexpr int block_columns(int channels) {
  return channels % ConvTile::kColumns == 0 ? ConvTile::kColumns : ConvTile::kColumns / 2;
}

template <typename T, bool kBackward>
__global__ void __launch_bounds__(kPackThreads)
    pack_training_weight_kernel(T* __restrict__ packed, const float* __restrict__ weight, int taps, int ic, int oc,
                                int columns, int chunks) {
  const int at = item_index(kPackThreads);
  if (at >= chunks) return;
  const int depth = kBackward ? oc : ic, stage_chunks = columns * ConvTile::kSlabChunks;
  const int stage = at / stage_chunks, i = at % stage_chunks;
  const int tap = stage % taps, slab = stage / taps % (depth / kSlab<T>);
  const int first_column = stage / taps / (depth / kSlab<T>)*columns;
  const int chunk = i / 16 % ConvTile::kSlabChunks, column = i / 16 / ConvTile::kSlabChunks * 16 + i % 16;
  const int channel = first_column + column / 16 * 16 + channel_of_column(column % 16, kChannelTiles);
  const int k = slab * kSlab<T> + chunk * kPerChunk<T>;
  float v[kPerChunk<T>];
  if constexpr (kBackward) {
    const float* from = weight + (static_cast<std::int64_t>(taps - 1 - tap) * ic + channel) * oc + k;
    UNROLL
    for (int j = 0; j < kPerChunk<T>; j += 4) {
      const float4 four = load4(from + j);
      v[j] = four.x, v[j + 1] = four.y, v[j + 2] = four.z, v[j + 3] = four.w;
    }
  } else {
    const float* from = weight + (static_cast<std::int64_t>(tap) * ic + k) * oc + channel;
    UNROLL
    for (int j = 0; j < kPerChunk<T>; ++j) v[j] = from[static_cast<std::int64_t>(j) * oc];
  }
  Chunk rounded;
  UNROLL
  for (int j = 0; j < 4; ++j) rounded.word[j] = encode<T>(&v[j * kPerWord<T>]);
  store_chunk(packed + (static_cast<std::int64_t>(stage) * stage_chunks + weight_chunk(column, chunk)) * kPerChunk<T>,
              rounded);
}

template <typename T, int kColumns>
__global__ void __launch_bounds__(kTensorThreads, kColumns == ConvTile::kColumns ? 2 : 4)
    conv2x2_tensor_training_kernel(Stored<T>* __restrict__ output, const T* __restrict__ input,
                                   const T* __restrict__ weight, const float* __restrict__ bias, int tiles_y,
                                   int tiles_x, int h, int w, int ic, int oc) {
  constexpr int kStageChunks = kColumns * ConvTile::kSlabChunks, kWarpColumns = kColumns / kWarpsAcross,
                kTilesN = kWarpColumns / 8;
  SHARED_ARRAY(Chunk, patches, 2, ConvTile::kPatchChunks);
  SHARED_ARRAY(Chunk, ring, kStages, kStageChunks);
  const int tile = block_index();
  const auto in = tile_input(input, tile, tiles_y, tiles_x, h, w, ic);
  const int stages = ic / kSlab<T> * ConvTile::kTaps;
  WeightStream<std::remove_reference_t<decltype(ring)>, kStageChunks> weights(
      ring, reinterpret_cast<const Chunk*>(weight) + std::int64_t{block_row()} * stages * kStageChunks, stages);
  const PatchCopy<T> copy(in);
  start_copies(patches, weights, copy);
  const int warp_y = warp_index() / kWarpsAcross * kTilesM, warp_column = warp_index() % kWarpsAcross * kWarpColumns;
  float acc[kTilesM][kTilesN][4];
  zero(acc);
  int patch = 0;
  convolve_tile<T, kColumns == ConvTile::kColumns>(acc, patches, ring, weights, copy, ic / kSlab<T>, patch, true,
                                                   {warp_y, warp_column});

  const int out_h = h - 1, out_w = w - 1, image = tile / (tiles_y * tiles_x);
  const int x = in.x + lane_index() / 4 * 2, channel = block_row() * kColumns + warp_column + lane_index() % 4 * 4;
  UNROLL
  for (int n = 0; n < kTilesN; n += kChannelTiles) {
    const float4 b = bias ? load4(bias + channel + 8 * n) : float4{0.0f, 0.0f, 0.0f, 0.0f};
    UNROLL
    for (int m = 0; m < kTilesM; ++m) {
      const int y = in.y + warp_y + m;
      Stored<T>* at = output + ((static_cast<std::int64_t>(image) * out_h + y) * out_w + x) * oc + channel + 8 * n;
      UNROLL
      for (int i = 0; i < 2; ++i) {
        const float(&left)[4] = acc[m][n], (&right)[4] = acc[m][n + 1];
        if (y < out_h && x + i < out_w) {
          const float four[4] = {left[2 * i] + b.x, left[2 * i + 1] + b.y, right[2 * i] + b.z, right[2 * i + 1] + b.w};
          store_values(at + i * oc, four);
        }
      }
    }
  }
}

}  // namespace

template <typename T>
void pack_training_weight(T* packed, const float* weight, int taps, int ic, int oc, ConvDirection direction,
                          Stream stream) {
  const bool backward = direction == ConvDirection::backward;
  const int channels = backward ? ic : oc, depth = backward ? oc : ic;
  require(channels > 0 && channels % 64 == 0 && depth > 0 && depth % kSlab<T> == 0,
          "pack_training_weight: the output's channels must be a multiple of 64, the input's of 64 bytes");
  require(taps == 1 || taps == ConvTile::kTaps, "pack_training_weight: 1x1 or 2x2");
  const int chunks = taps * ic * oc / kPerChunk<T>;
  launch({.kernel = "pack_training_weight",
          .blocks = {blocks_for(chunks, kPackThreads)},
          .threads = kPackThreads,
          .synchronises = false},
         stream, backward ? pack_training_weight_kernel<T, true> : pack_training_weight_kernel<T, false>, packed,
         weight, taps, ic, oc, taps == 1 ? kGemmColumns : block_columns(channels), chunks);
}

template <typename T>
void conv2x2_tensor_training(const Conv2x2TensorTraining<T>& c, Stream stream) {
  require(c.n > 0 && c.h > 1 && c.w > 1, "conv2x2_tensor_training: the output is empty");
  require(c.ic > 0 && c.ic % kSlab<T> == 0 && c.oc > 0 && c.oc % 64 == 0,
          "conv2x2_tensor_training: ic must be a multiple of 64 bytes, oc of 64");
  const unsigned tiles_y = blocks_for(c.h - 1, ConvTile::kHeight), tiles_x = blocks_for(c.w - 1, ConvTile::kWidth);
  const std::int64_t tiles = static_cast<std::int64_t>(c.n) * tiles_y * tiles_x;
  require(tiles <= INT32_MAX, "conv2x2_tensor_training: the batch is too large for one launch");
  const int columns = block_columns(c.oc);
  launch({.kernel = "conv2x2_tensor_training",
          .blocks = {static_cast<unsigned>(tiles), static_cast<unsigned>(c.oc / columns)},
          .threads = kTensorThreads},
         stream,
         columns == ConvTile::kColumns ? conv2x2_tensor_training_kernel<T, ConvTile::kColumns>
                                       : conv2x2_tensor_training_kernel<T, ConvTile::kColumns / 2>,
         c.output, c.input, c.weight, c.bias, static_cast<int>(tiles_y), static_cast<int>(tiles_x), c.h, c.w, c.ic,
         c.oc);
}

template void pack_training_weight(Bfloat16*, const float*, int, int, int, ConvDirection, Stream);
template void pack_training_weight(Tf32*, const float*, int, int, int, ConvDirection, Stream);
template void conv2x2_tensor_training(const Conv2x2TensorTraining<Bfloat16>&, Stream);
template void conv2x2_tensor_training(const Conv2x2TensorTraining<Tf32>&, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
