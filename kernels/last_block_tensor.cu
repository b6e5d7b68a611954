// last_block_tensor: maps = P max(0, conv2x2(x, w) + bias), the last block and its 1x1 convolution as two GEMMs back to
// back.
//   input [n][h][w][ic]   weight packed in stages   bias [oc]   ->   maps [n][64][(h-1)(w-1)]
//   grid   (n * ceil((h-1)/8) * ceil((w-1)/16))    block 128 threads, 16 x 8 positions, all channels, all maps
//   warp   2 image rows x 128 channels: 2 x 16 mma, 128 sums a thread; and their 64 maps: 2 x 8 mma, 64 sums that live
//          through the kernel
// For each 128 channels: the convolution (tensor_conv.cuh) upon the bias, then ReLU and rounding in registers. What a
// thread holds of the product is, as it stands, its fragment of the next product's left side: of halves, two mma side
// by side are sixteen columns; of TF32, columns 2t and 2t+1 of one mma are taken as the fragment's t and t+4, and the
// packed projection is permuted alike. So the oc channels touch neither shared nor global memory, and no warp waits for
// another's. The projection's weights follow the convolution's in the same stream of stages.
// A thread stores positions 2g and 2g+1 of a map: eight lanes 64 bytes side by side.
#include "kernels/last_block_tensor.h"
#include "kernels/tensor_conv.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kTilesM = 2, kTilesN = ConvTile::kColumns / 8;
constexpr int kMapTiles = ProjectionTile::kMaps / 8;

// Of a projection stage: its mma in depth, and the convolution's mma whose columns feed one of them.
constexpr int kStageSteps = ProjectionTile::kRowChunks / 2;
template <typename T>
constexpr int kMmasPerStep = kPerWord<T>;
template <typename T>
constexpr int kProjectionStages = kTilesN / (kStageSteps * kMmasPerStep<T>);

// The sums begin with the bias, which then takes no registers when they are complete.
__device__ __forceinline__ void begin_with(float (&acc)[kTilesM][kTilesN][4], const float* bias) {
  UNROLL
  for (int n = 0; n < kTilesN; ++n) {
    UNROLL
    for (int i = 0; i < 2; ++i) {
      const float b = bias[8 * n + lane_index() % 4 * 2 + i];
      UNROLL
      for (int m = 0; m < kTilesM; ++m) acc[m][n][i] = acc[m][n][2 + i] = b;
    }
  }
}

// The left fragment of step `step` of the projection: ReLU and rounding of the convolution's sums.
template <typename T>
__device__ __forceinline__ void activate(std::uint32_t (&a)[4], const float (&acc)[kTilesN][4], int step) {
  float v[2][4];  // of the two halves of the fragment's depth: [half][row g: 2, row g + 8: 2]
  UNROLL
  for (int i = 0; i < kMmasPerStep<T>; ++i) {
    const int n = step * kMmasPerStep<T> + i;
    UNROLL
    for (int j = 0; j < 4; ++j) v[i][j] = relu(acc[n][j]);
  }
  if constexpr (kMmasPerStep<T> == 2) {
    a[0] = encode<T>(&v[0][0]), a[1] = encode<T>(&v[0][2]), a[2] = encode<T>(&v[1][0]), a[3] = encode<T>(&v[1][2]);
  } else {
    a[0] = encode<T>(&v[0][0]), a[1] = encode<T>(&v[0][2]), a[2] = encode<T>(&v[0][1]), a[3] = encode<T>(&v[0][3]);
  }
}

// maps += one stage of the projection; first_step: of the 128 channels.
template <typename T, typename Stage>
__device__ __forceinline__ void project_stage(float (&maps)[kTilesM][kMapTiles][4],
                                              const float (&acc)[kTilesM][kTilesN][4], Stage& stage, int first_step) {
  const int lane = lane_index();
  const int map = lane % 8 + lane / 16 * 8, map_chunk = lane / 8 % 2;  // of the row of B that this lane names
  const int b_at = projection_chunk(map, map_chunk);
  UNROLL
  for (int step = 0; step < kStageSteps; ++step) {
    std::uint32_t a[kTilesM][4];
    UNROLL
    for (int m = 0; m < kTilesM; ++m) activate<T>(a[m], acc[m], first_step + step);
    UNROLL
    for (int n = 0; n < kMapTiles; n += 2) {
      std::uint32_t b[4];
      ldmatrix(b, &stage[(b_at ^ 2 * step) + n * 8 * ProjectionTile::kRowChunks]);
      UNROLL
      for (int m = 0; m < kTilesM; ++m) {
        mma<T>(maps[m][n], a[m], b[0], b[1]);
        mma<T>(maps[m][n + 1], a[m], b[2], b[3]);
      }
    }
  }
}

__device__ __forceinline__ void store_maps(float* maps, const float (&acc)[kTilesM][kMapTiles][4], int first_y,
                                           int first_x, int out_h, int out_w) {
  const int x = first_x + lane_index() / 4 * 2, t = lane_index() % 4;
  const std::int64_t area = static_cast<std::int64_t>(out_h) * out_w;
  UNROLL
  for (int m = 0; m < kTilesM; ++m) {
    const int y = first_y + m;
    if (y >= out_h || x >= out_w) continue;
    UNROLL
    for (int n = 0; n < kMapTiles; ++n) {
      UNROLL
      for (int i = 0; i < 2; ++i) {
        float* at = maps + (8 * n + 2 * t + i) * area + static_cast<std::int64_t>(y) * out_w + x;
        if (out_w % 2 == 0) {
          store2(at, {acc[m][n][i], acc[m][n][2 + i]});
        } else {
          at[0] = acc[m][n][i];
          if (x + 1 < out_w) at[1] = acc[m][n][2 + i];
        }
      }
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kTensorThreads, 2)
    last_block_tensor_kernel(float* __restrict__ maps, const T* __restrict__ input, const void* __restrict__ weight,
                             const float* __restrict__ bias, int tiles_y, int tiles_x, int h, int w, int ic, int oc) {
  SHARED_ARRAY(Chunk, patches, 2, ConvTile::kPatchChunks);
  SHARED_ARRAY(Chunk, ring, kStages, ConvTile::kStageChunks);
  const int tile = block_index();
  const auto in = tile_input(input, tile, tiles_y, tiles_x, h, w, ic);
  const int groups = oc / ConvTile::kColumns;  // of 128 channels
  WeightStream weights(ring, weight, groups * (ic / kSlab<T> * ConvTile::kTaps + kProjectionStages<T>));
  start_copies(patches, weights, in);
  const int warp_y = warp_index() * kTilesM;
  float map_acc[kTilesM][kMapTiles][4];
  zero(map_acc);
  int patch = 0;
  for (int group = 0; group < groups; ++group) {
    float acc[kTilesM][kTilesN][4];
    begin_with(acc, bias + group * ConvTile::kColumns);
    convolve_tile<T, false>(acc, patches, ring, weights, in, patch, group + 1 == groups, warp_y, 0);
    UNROLL
    for (int stage = 0; stage < kProjectionStages<T>; ++stage) {
      const int slot = weights.arrive();
      weights.copy_next();
      commit_copies();
      project_stage<T>(map_acc, acc, ring[slot], stage * kStageSteps);
    }
  }
  const int image = tile / (tiles_y * tiles_x);
  store_maps(maps + static_cast<std::int64_t>(image) * ProjectionTile::kMaps * (h - 1) * (w - 1), map_acc,
             in.y + warp_y, in.x, h - 1, w - 1);
}

}  // namespace

template <typename T>
void last_block_tensor(const LastBlockTensor<T>& b, Stream stream) {
  require(b.n > 0 && b.h > 1 && b.w > 1, "last_block_tensor: the output is empty");
  require(b.ic > 0 && b.ic % kSlab<T> == 0 && b.oc > 0 && b.oc % ConvTile::kColumns == 0,
          "last_block_tensor: ic must be a multiple of 64 bytes, oc of 128");
  const unsigned tiles_y = blocks_for(b.h - 1, ConvTile::kHeight), tiles_x = blocks_for(b.w - 1, ConvTile::kWidth);
  const std::int64_t tiles = static_cast<std::int64_t>(b.n) * tiles_y * tiles_x;
  require(tiles <= INT32_MAX, "last_block_tensor: the batch is too large for one launch");
  launch({.kernel = "last_block_tensor", .blocks = {static_cast<unsigned>(tiles)}, .threads = kTensorThreads}, stream,
         last_block_tensor_kernel<T>, b.maps, b.input, b.weight, b.bias, static_cast<int>(tiles_y),
         static_cast<int>(tiles_x), b.h, b.w, b.ic, b.oc);
}

template void last_block_tensor(const LastBlockTensor<Half>&, Stream);
template void last_block_tensor(const LastBlockTensor<Bfloat16>&, Stream);
template void last_block_tensor(const LastBlockTensor<Tf32>&, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
