// conv2x2_tensor: y = max(0, maxpool2x2(conv2x2(x, w)) + bias) on tensor cores, in FP16, BF16 or TF32 with FP32 sums.
//   input [n][h][w][ic]   weight packed in stages   bias [oc]   ->   output [n][ph][pw][oc],
//   ph = (h-1)/2, pw = (w-1)/2
// Implicit GEMM (tensor_conv.cuh); the input is never unfolded.
//   grid   (n * ceil(ph/4) * ceil(pw/8), oc/128)    block 128 threads, 8 x 4 windows x 128 channels
//   warp   4 image rows (two rows of windows) x 64 channels: 4 x 8 mma, 128 sums a thread
// A window's four positions are sums of one thread: pooling is three maxima, before bias and ReLU, which are monotone.
// Channels stand in the order of channel_of_column, so a thread stores 16 bytes, and four of them 64 bytes side by
// side.
#include "kernels/conv2x2_tensor.h"
#include "kernels/tensor_conv.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kTilesM = 4, kTilesN = 8;
constexpr int kWarpsAcross = 2;
constexpr int kWarpColumns = 8 * kTilesN;
constexpr int kWindowsX = ConvTile::kWidth / 2, kWindowsY = ConvTile::kHeight / 2;

template <typename T>
__global__ void __launch_bounds__(kTensorThreads, 2)
    conv2x2_tensor_kernel(T* __restrict__ output, const T* __restrict__ input, const void* __restrict__ weight,
                          const float* __restrict__ bias, int tiles_y, int tiles_x, int h, int w, int ic, int oc) {
  SHARED_ARRAY(Chunk, patches, 2, ConvTile::kPatchChunks);
  SHARED_ARRAY(Chunk, ring, kStages, ConvTile::kStageChunks);
  const int tile = block_index(), first_channel = block_row() * ConvTile::kColumns;
  const auto in = tile_input(input, tile, tiles_y, tiles_x, h, w, ic);
  const int stages = ic / kSlab<T> * ConvTile::kTaps;
  WeightStream weights(
      ring, static_cast<const Chunk*>(weight) + std::int64_t{block_row()} * stages * ConvTile::kStageChunks, stages);
  const PatchCopy<T> copy(in);
  start_copies(patches, weights, copy);
  const int warp_y = warp_index() / kWarpsAcross * kTilesM, warp_column = warp_index() % kWarpsAcross * kWarpColumns;
  float acc[kTilesM][kTilesN][4];
  zero(acc);
  int patch = 0;
  convolve_tile<T, true>(acc, patches, ring, weights, copy, ic / kSlab<T>, patch, true, {warp_y, warp_column});

  constexpr int kMmas = kPerChunk<T> / 2;  // that fill a chunk
  const int ph = (h - 1) / 2, pw = (w - 1) / 2;
  const int x = in.x / 2 + lane_index() / 4, y = (in.y + warp_y) / 2;
  const int channel = first_channel + warp_column + lane_index() % 4 * kPerChunk<T>;
  const int image = tile / (tiles_y * tiles_x);
  UNROLL
  for (int g = 0; g < kTilesN / kMmas; ++g) {
    const int own_channel = channel + g * 8 * kMmas;
    float b[kPerChunk<T>];
    UNROLL
    for (int i = 0; i < kPerChunk<T>; i += 4) {
      const float4 four = load4(bias + own_channel + i);
      b[i] = four.x, b[i + 1] = four.y, b[i + 2] = four.z, b[i + 3] = four.w;
    }
    UNROLL
    for (int m = 0; m < kTilesM; m += 2) {
      Chunk chunk;
      UNROLL
      for (int i = 0; i < 4; ++i) {
        float v[2];
        UNROLL
        for (int j = 0; j < kPerWord<T>; ++j) {
          const int at = i * kPerWord<T> + j;  // of the chunk's channels
          const float(&upper)[4] = acc[m][g * kMmas + at / 2], (&lower)[4] = acc[m + 1][g * kMmas + at / 2];
          v[j] = maximum(maximum(upper[at % 2], upper[2 + at % 2]), maximum(lower[at % 2], lower[2 + at % 2]));
          v[j] = relu(v[j] + b[at]);
        }
        chunk.word[i] = encode<T>(v);
      }
      if (x < pw && y + m / 2 < ph) {
        store_chunk(output + ((static_cast<std::int64_t>(image) * ph + y + m / 2) * pw + x) * oc + own_channel, chunk);
      }
    }
  }
}

}  // namespace

template <typename T>
void conv2x2_tensor(const Conv2x2Tensor<T>& c, Stream stream) {
  const int ph = (c.h - 1) / 2, pw = (c.w - 1) / 2;
  require(c.n > 0 && ph > 0 && pw > 0, "conv2x2_tensor: the output is empty");
  require(c.ic > 0 && c.ic % kSlab<T> == 0 && c.oc > 0 && c.oc % ConvTile::kColumns == 0,
          "conv2x2_tensor: ic must be a multiple of 64 bytes, oc of 128");
  const unsigned tiles_y = blocks_for(ph, kWindowsY), tiles_x = blocks_for(pw, kWindowsX);
  const std::int64_t tiles = static_cast<std::int64_t>(c.n) * tiles_y * tiles_x;
  require(tiles <= INT32_MAX, "conv2x2_tensor: the batch is too large for one launch");
  launch({.kernel = "conv2x2_tensor",
          .blocks = {static_cast<unsigned>(tiles), static_cast<unsigned>(c.oc / ConvTile::kColumns)},
          .threads = kTensorThreads},
         stream, conv2x2_tensor_kernel<T>, c.output, c.input, c.weight, c.bias, static_cast<int>(tiles_y),
         static_cast<int>(tiles_x), c.h, c.w, c.ic, c.oc);
}

template void conv2x2_tensor(const Conv2x2Tensor<Half>&, Stream);
template void conv2x2_tensor(const Conv2x2Tensor<Bfloat16>&, Stream);
template void conv2x2_tensor(const Conv2x2Tensor<Tf32>&, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
