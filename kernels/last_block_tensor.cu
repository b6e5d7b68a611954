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
//
// For few images, whose tiles are fewer than a GPU's multiprocessors, the same in two launches, with every product and
// every sum in the same order:
//   convolve   grid (tiles, oc/64)    block 128 threads, 16 x 8 positions x 64 channels; warp: 2 image rows, 2 x 8 mma.
//              Each thread stores its fragments, 16 bytes side by side in a warp:
//              scratch [tile][step of the projection's depth][image row][lane]
//   project    grid (tiles, 4)        block 128 threads, 16 x 8 positions x 16 maps; warp: 2 image rows, 2 x 2 mma.
//              A thread loads its own fragments again, and the words of the projection's weights that an ldmatrix would
//              have given it
#include <type_traits>

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

// Of a split block: 64 of the 128 channels of a stage, a quarter of the maps.
constexpr int kSplitTilesN = kTilesN / 2;
constexpr int kSplitChannels = 8 * kSplitTilesN, kSplitStageChunks = kSplitChannels * ConvTile::kSlabChunks;
constexpr int kSplitMapTiles = 2;

// Stages of the weights that a group of 128 channels has: of the convolution, then of the projection.
template <typename T>
__device__ __forceinline__ int convolution_stages(int ic) {
  return ic / kSlab<T> * ConvTile::kTaps;
}

// The sums begin with the bias, which then takes no registers when they are complete.
template <int kTiles>
__device__ __forceinline__ void begin_with(float (&acc)[kTilesM][kTiles][4], const float* bias) {
  UNROLL
  for (int n = 0; n < kTiles; ++n) {
    UNROLL
    for (int i = 0; i < 2; ++i) {
      const float b = bias[8 * n + lane_index() % 4 * 2 + i];
      UNROLL
      for (int m = 0; m < kTilesM; ++m) acc[m][n][i] = acc[m][n][2 + i] = b;
    }
  }
}

// The left fragment of step `step` of the projection: ReLU and rounding of the convolution's sums.
template <typename T, int kTiles>
__device__ __forceinline__ void activate(std::uint32_t (&a)[4], const float (&acc)[kTiles][4], int step) {
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

template <int kTiles>
__device__ __forceinline__ void store_maps(float* maps, const float (&acc)[kTilesM][kTiles][4], int first_y,
                                           int first_x, int out_h, int out_w) {
  const int x = first_x + lane_index() / 4 * 2, t = lane_index() % 4;
  const std::int64_t area = static_cast<std::int64_t>(out_h) * out_w;
  UNROLL
  for (int m = 0; m < kTilesM; ++m) {
    const int y = first_y + m;
    if (y >= out_h || x >= out_w) continue;
    UNROLL
    for (int n = 0; n < kTiles; ++n) {
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
  WeightStream weights(ring, weight, groups * (convolution_stages<T>(ic) + kProjectionStages<T>));
  const PatchCopy<T> copy(in);
  start_copies(patches, weights, copy);
  const int warp_y = warp_index() * kTilesM;
  const FragmentPlaces<kTilesM> places(warp_y, 0);
  float map_acc[kTilesM][kMapTiles][4];
  zero(map_acc);
  int patch = 0;
  for (int group = 0; group < groups; ++group) {
    float acc[kTilesM][kTilesN][4];
    begin_with(acc, bias + group * ConvTile::kColumns);
    convolve_tile<T, false>(acc, patches, ring, weights, copy, ic / kSlab<T>, patch, group + 1 == groups, places);
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

// Where the fragments of a tile's step and image row lie, a chunk a lane.
template <typename T>
__device__ __forceinline__ std::int64_t fragment_chunk(int tile, int step, int row, int oc) {
  const int steps = oc / (8 * kMmasPerStep<T>);
  return ((static_cast<std::int64_t>(tile) * steps + step) * ConvTile::kHeight + row) * kWarp + lane_index();
}

template <typename T>
__global__ void __launch_bounds__(kTensorThreads, 3)
    last_block_convolve_kernel(Chunk* __restrict__ scratch, const T* __restrict__ input,
                               const void* __restrict__ weight, const float* __restrict__ bias, int tiles_y,
                               int tiles_x, int h, int w, int ic, int oc) {
  SHARED_ARRAY(Chunk, patches, 2, ConvTile::kPatchChunks);
  SHARED_ARRAY(Chunk, ring, kStages, kSplitStageChunks);
  const int tile = block_index(), first_channel = block_row() * kSplitChannels;
  const int group = first_channel / ConvTile::kColumns, stages = convolution_stages<T>(ic);
  WeightStream<std::remove_reference_t<decltype(ring)>, kSplitStageChunks, ConvTile::kStageChunks> weights(
      ring,
      static_cast<const Chunk*>(weight) + std::int64_t{group} * (stages + kProjectionStages<T>)*ConvTile::kStageChunks +
          first_channel % ConvTile::kColumns * ConvTile::kSlabChunks,
      stages);
  const PatchCopy<T> copy(tile_input(input, tile, tiles_y, tiles_x, h, w, ic));
  start_copies(patches, weights, copy);
  const int warp_y = warp_index() * kTilesM;
  float acc[kTilesM][kSplitTilesN][4];
  begin_with(acc, bias + first_channel);
  int patch = 0;
  convolve_tile<T, true>(acc, patches, ring, weights, copy, ic / kSlab<T>, patch, true, {warp_y, 0});
  UNROLL
  for (int step = 0; step < kSplitTilesN / kMmasPerStep<T>; ++step) {
    UNROLL
    for (int m = 0; m < kTilesM; ++m) {
      std::uint32_t a[4];
      activate<T>(a, acc[m], step);
      const int depth = first_channel / (8 * kMmasPerStep<T>)+step;
      store_chunk(scratch + fragment_chunk<T>(tile, depth, warp_y + m, oc), {{a[0], a[1], a[2], a[3]}});
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kTensorThreads)
    last_block_project_kernel(float* __restrict__ maps, const Chunk* __restrict__ scratch,
                              const void* __restrict__ weight, int tiles_y, int tiles_x, int out_h, int out_w, int ic,
                              int oc) {
  const int tile = block_index(), first_map = block_row() * 8 * kSplitMapTiles, warp_y = warp_index() * kTilesM;
  const int map = first_map + lane_index() / 4, t = lane_index() % 4;  // of the column of B that this lane brings
  float acc[kTilesM][kSplitMapTiles][4];
  zero(acc);
  const int stages = convolution_stages<T>(ic);
  ROLLED
  for (int group = 0; group < oc / ConvTile::kColumns; ++group) {
    const Chunk* projection = static_cast<const Chunk*>(weight) +
                              (std::int64_t{group} * (stages + kProjectionStages<T>)+stages) * ConvTile::kStageChunks;
    UNROLL
    for (int stage = 0; stage < kProjectionStages<T>; ++stage, projection += ConvTile::kStageChunks) {
      UNROLL
      for (int step = 0; step < kStageSteps; ++step) {
        const int depth = (group * kProjectionStages<T> + stage) * kStageSteps + step;
        std::uint32_t a[kTilesM][4];
        UNROLL
        for (int m = 0; m < kTilesM; ++m) {
          const Chunk own = load_chunk(scratch + fragment_chunk<T>(tile, depth, warp_y + m, oc));
          UNROLL
          for (int i = 0; i < 4; ++i) a[m][i] = own.word[i];
        }
        UNROLL
        for (int n = 0; n < kSplitMapTiles; ++n) {
          std::uint32_t b[2];
          UNROLL
          for (int i = 0; i < 2; ++i) b[i] = projection[projection_chunk(map + 8 * n, 2 * step + i)].word[t];
          UNROLL
          for (int m = 0; m < kTilesM; ++m) mma<T>(acc[m][n], a[m], b[0], b[1]);
        }
      }
    }
  }
  const int image = tile / (tiles_y * tiles_x), y = tile / tiles_x % tiles_y * ConvTile::kHeight;
  float* own_maps = maps + (static_cast<std::int64_t>(image) * ProjectionTile::kMaps + first_map) * out_h * out_w;
  store_maps(own_maps, acc, y + warp_y, tile % tiles_x * ConvTile::kWidth, out_h, out_w);
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
  if (b.scratch) {
    const auto columns = static_cast<unsigned>(b.oc / kSplitChannels);
    launch(
        {.kernel = "last_block_convolve", .blocks = {static_cast<unsigned>(tiles), columns}, .threads = kTensorThreads},
        stream, last_block_convolve_kernel<T>, reinterpret_cast<Chunk*>(b.scratch), b.input, b.weight, b.bias,
        static_cast<int>(tiles_y), static_cast<int>(tiles_x), b.h, b.w, b.ic, b.oc);
    launch({.kernel = "last_block_project",
            .blocks = {static_cast<unsigned>(tiles), kMapTiles / kSplitMapTiles},
            .threads = kTensorThreads},
           stream, last_block_project_kernel<T>, b.maps, reinterpret_cast<Chunk*>(b.scratch), b.weight,
           static_cast<int>(tiles_y), static_cast<int>(tiles_x), b.h - 1, b.w - 1, b.ic, b.oc);
    return;
  }
  launch({.kernel = "last_block_tensor", .blocks = {static_cast<unsigned>(tiles)}, .threads = kTensorThreads}, stream,
         last_block_tensor_kernel<T>, b.maps, b.input, b.weight, b.bias, static_cast<int>(tiles_y),
         static_cast<int>(tiles_x), b.h, b.w, b.ic, b.oc);
}

template void last_block_tensor(const LastBlockTensor<Half>&, Stream);
template void last_block_tensor(const LastBlockTensor<Bfloat16>&, Stream);
template void last_block_tensor(const LastBlockTensor<Tf32>&, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
