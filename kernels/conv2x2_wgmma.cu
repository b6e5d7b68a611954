// conv2x2_wgmma: y = max(0, maxpool2x2(conv2x2(x, w)) + bias) by Hopper's warpgroup products, as conv2x2_tensor.
//   input [n][h][w][ic]   weight packed in stages   bias [oc]   ->   output [n][ph][pw][oc],
//   ph = (h-1)/2, pw = (w-1)/2
//   grid   (n * ceil(ph/4) * ceil(pw/8), oc/128)    block 128 threads, 8 x 4 windows x 128 channels: one product for
//          the 64 even positions of its eight image rows, one for the odd ones
//   warp   a row of windows: rows g and g+8 of its 16 are positions of two image rows
// So a window's four positions are sums of one thread, of two products and two rows; channels as in conv2x2_tensor.
#include "kernels/conv2x2_wgmma.h"
#include "kernels/warpgroup_conv.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kWindowsX = ConvTile::kWidth / 2, kWindowsY = ConvTile::kHeight / 2;

// tools/check-kernels reads this.
static_assert(sizeof(WarpgroupBuffers) == 52512);  // conv2x2_wgmma_kernel<T>

template <typename T>
__global__ void __launch_bounds__(kWarpgroup, 3)
    conv2x2_wgmma_kernel(T* __restrict__ output, const T* __restrict__ input, const Chunk* __restrict__ weight,
                         const float* __restrict__ bias, int tiles_y, int tiles_x, int h, int w, int ic, int oc) {
  auto& buffers = dynamic_shared<WarpgroupBuffers>();
  const int tile = block_index(), first_channel = block_row() * ConvTile::kColumns;
  const int image = tile / (tiles_y * tiles_x);
  const TileInput<T> in = tile_input(input, tile, tiles_y, tiles_x, h, w, ic);
  const int slabs = ic / kSlab<T>, stages = slabs * ConvTile::kTaps;
  const WarpgroupPatchCopy<T> copy(in);
  copy.copy(buffers.patches[0], 0);
  commit_copies();
  BulkStream<> stream(buffers, weight + std::int64_t{block_row()} * stages * ConvTile::kStageChunks, stages, 1);
  stream.start();
  sync_block();

  float acc[2][kProductColumns / 2];  // of even positions and of odd ones
  UNROLL
  for (int i = 0; i < kProductColumns / 2; ++i) acc[0][i] = acc[1][i] = 0.0f;
  for (int slab = 0; slab < slabs; ++slab) {
    multiply_slab<T>(acc, buffers, copy, stream, slab, slab, slab + 1 < slabs ? slab + 1 : -1);
  }
  wait_products<0>(acc[0], acc[1]);

  constexpr int kMmas = kPerChunk<T> / 2;  // groups of eight columns that fill a chunk
  const int ph = (h - 1) / 2, pw = (w - 1) / 2;
  const int x = in.x / 2 + lane_index() / 4, y = in.y / 2 + warp_index();
  if (x >= pw || y >= ph) return;
  const int channel = first_channel + lane_index() % 4 * kPerChunk<T>;
  T* const to = output + ((static_cast<std::int64_t>(image) * ph + y) * pw + x) * oc + channel;
  UNROLL
  for (int g = 0; g < kProductColumns / 8 / kMmas; ++g) {
    float b[kPerChunk<T>];
    UNROLL
    for (int i = 0; i < kPerChunk<T>; i += 4) {
      const float4 four = load4(bias + channel + g * 8 * kMmas + i);
      b[i] = four.x, b[i + 1] = four.y, b[i + 2] = four.z, b[i + 3] = four.w;
    }
    Chunk chunk;
    UNROLL
    for (int i = 0; i < 4; ++i) {
      float v[2];
      UNROLL
      for (int j = 0; j < kPerWord<T>; ++j) {
        const int in_chunk = i * kPerWord<T> + j, at = 4 * (g * kMmas + in_chunk / 2) + in_chunk % 2;
        v[j] = maximum(maximum(acc[0][at], acc[0][at + 2]), maximum(acc[1][at], acc[1][at + 2]));
        v[j] = relu(v[j] + b[in_chunk]);
      }
      chunk.word[i] = encode<T>(v);
    }
    store_chunk(to + g * 8 * kMmas, chunk);
  }
}

}  // namespace

template <typename T>
void conv2x2_wgmma(const Conv2x2Tensor<T>& c, Stream stream) {
  const int ph = (c.h - 1) / 2, pw = (c.w - 1) / 2;
  require(c.n > 0 && ph > 0 && pw > 0, "conv2x2_wgmma: the output is empty");
  require(c.ic > 0 && c.ic % kSlab<T> == 0 && c.oc > 0 && c.oc % ConvTile::kColumns == 0,
          "conv2x2_wgmma: ic must be a multiple of 64 bytes, oc of 128");
  const unsigned tiles_y = blocks_for(ph, kWindowsY), tiles_x = blocks_for(pw, kWindowsX);
  const std::int64_t tiles = static_cast<std::int64_t>(c.n) * tiles_y * tiles_x;
  require(tiles <= INT32_MAX, "conv2x2_wgmma: the batch is too large for one launch");
  launch({.kernel = "conv2x2_wgmma",
          .blocks = {static_cast<unsigned>(tiles), static_cast<unsigned>(c.oc / ConvTile::kColumns)},
          .threads = kWarpgroup,
          .shared_bytes = sizeof(WarpgroupBuffers)},
         stream, conv2x2_wgmma_kernel<T>, c.output, c.input, static_cast<const Chunk*>(c.weight), c.bias,
         static_cast<int>(tiles_y), static_cast<int>(tiles_x), c.h, c.w, c.ic, c.oc);
}

template void conv2x2_wgmma(const Conv2x2Tensor<Half>&, Stream);
template void conv2x2_wgmma(const Conv2x2Tensor<Bfloat16>&, Stream);
template void conv2x2_wgmma(const Conv2x2Tensor<Tf32>&, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
