// last_block_wgmma: maps = P max(0, conv2x2(x, w) + bias) by Hopper's warpgroup products, as last_block_tensor.
//   input [n][h][w][ic]   weight packed in stages   bias [oc]   ->   maps [n][64][(h-1)(w-1)]
//   grid   (n * ceil((h-1)/8) * ceil((w-1)/16))    block 128 threads, 16 x 8 positions, all channels, all maps
// For each 128 channels: the convolution (warpgroup_conv.cuh) upon the bias, then ReLU and rounding in registers, where
// a thread's sums are, as they stand, its words of the next product's left side: of halves, columns 8n to 8n + 15; of
// TF32, columns 2t and 2t+1 of eight are taken as t and t+4, and the packed projection is permuted alike. The sums of
// the maps live through the kernel. The projection's weights follow the convolution's, in stages half as long.
//
// For few images the same in two launches, every sum in the same order:
//   convolve   grid (tiles, oc/128); the words go to scratch [tile][stage of the projection][product][thread]
//   project    grid (tiles); a thread loads its own words again
#include "kernels/last_block_wgmma.h"
#include "kernels/warpgroup_conv.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kMaps = ProjectionTile::kMaps, kMapSums = kMaps / 2;

// Stages of the projection in a group of 128 channels, each of two products in depth: 64 bytes of channels.
template <typename T>
constexpr int kTailStages = ConvTile::kColumns* static_cast<int>(sizeof(T)) / ConvTile::kSlabBytes;
constexpr int kTailChunks = ConvTile::kStageChunks / 2;
static_assert(kTailStages<Half> % kSlots == 0 && kMaps * ConvTile::kSlabChunks == kTailChunks);

static_assert(sizeof(WarpgroupBuffers) == 52512);  // last_block_wgmma_kernel<T, (true|false)>

// A thread's left side of a stage of the projection: of even positions and of odd ones, of its two products in depth.
struct Words {
  std::uint32_t of[2][2][4];
};

// The sums begin with the bias.
__device__ __forceinline__ void begin_with_bias(float (&acc)[2][kProductColumns / 2], const float* bias) {
  UNROLL
  for (int n = 0; n < kProductColumns / 8; ++n) {
    const float2 b = load2(bias + 8 * n + lane_index() % 4 * 2);
    UNROLL
    for (int odd = 0; odd < 2; ++odd) {
      acc[odd][4 * n] = acc[odd][4 * n + 2] = b.x;
      acc[odd][4 * n + 1] = acc[odd][4 * n + 3] = b.y;
    }
  }
}

// ReLU and rounding.
template <typename T>
__device__ __forceinline__ void activate(Words& words, const float (&acc)[2][kProductColumns / 2], int stage) {
  UNROLL
  for (int odd = 0; odd < 2; ++odd) {
    UNROLL
    for (int i = 0; i < 2; ++i) {
      std::uint32_t(&a)[4] = words.of[odd][i];
      constexpr int kSums = 4 * kPerWord<T>;  // that feed a product
      float v[kSums];
      UNROLL
      for (int j = 0; j < kSums; ++j) v[j] = relu(acc[odd][kSums * (2 * stage + i) + j]);
      if constexpr (kPerWord<T> == 2) {
        a[0] = encode<T>(&v[0]), a[1] = encode<T>(&v[2]), a[2] = encode<T>(&v[4]), a[3] = encode<T>(&v[6]);
      } else {
        a[0] = encode<T>(&v[0]), a[1] = encode<T>(&v[2]), a[2] = encode<T>(&v[1]), a[3] = encode<T>(&v[3]);
      }
    }
  }
}

// maps += one stage of the projection.
template <typename T>
__device__ __forceinline__ void project_stage(float (&maps)[2][kMapSums], const Words& words, const Chunk* stage) {
  const Matrix columns = matrix(stage, kMaps, 8);
  UNROLL
  for (int i = 0; i < 2; ++i) {
    UNROLL
    for (int odd = 0; odd < 2; ++odd) multiply_async<T>(maps[odd], words.of[odd][i], columns + 2 * i * kMaps);
  }
}

// A thread stores positions 2g and 2g+1 of two image rows of sixteen maps.
__device__ __forceinline__ void store_maps(float* maps, const float (&acc)[2][kMapSums], int first_y, int first_x,
                                           int out_h, int out_w) {
  const int x = first_x + lane_index() / 4 * 2, y = first_y + 2 * warp_index();
  if (x >= out_w) return;
  const std::int64_t area = static_cast<std::int64_t>(out_h) * out_w;
  UNROLL
  for (int i = 0; i < kMapSums; ++i) {
    const int row = y + i / 2 % 2, map = i / 4 * 8 + lane_index() % 4 * 2 + i % 2;
    if (row >= out_h) continue;
    float* const at = maps + map * area + static_cast<std::int64_t>(row) * out_w + x;
    if (out_w % 2 == 0) {
      store2(at, {acc[0][i], acc[1][i]});
    } else {
      at[0] = acc[0][i];
      if (x + 1 < out_w) at[1] = acc[1][i];
    }
  }
}

template <typename T>
__device__ __forceinline__ std::int64_t word_chunk(int tile, int stage, int i, int oc) {
  const int stages = oc / ConvTile::kColumns * kTailStages<T>;
  return ((static_cast<std::int64_t>(tile) * stages + stage) * 4 + i) * kWarpgroup + thread_index();
}

// Chunks of weights from one group of channels to the next.
template <typename T>
__device__ __forceinline__ int group_chunks(int stages) {
  return stages * ConvTile::kStageChunks + kTailStages<T> * kTailChunks;
}

template <typename T, bool kSplit>
__global__ void __launch_bounds__(kWarpgroup, 2)
    last_block_wgmma_kernel(float* __restrict__ maps, Chunk* __restrict__ scratch, const T* __restrict__ input,
                            const Chunk* __restrict__ weight, const float* __restrict__ bias, int tiles_y, int tiles_x,
                            int h, int w, int ic, int oc) {
  auto& buffers = dynamic_shared<WarpgroupBuffers>();
  const int tile = block_index();
  const TileInput<T> in = tile_input(input, tile, tiles_y, tiles_x, h, w, ic);
  const int slabs = ic / kSlab<T>, stages = slabs * ConvTile::kTaps;
  const int first = kSplit ? block_row() : 0, groups = kSplit ? 1 : oc / ConvTile::kColumns;
  const WarpgroupPatchCopy<T> copy(in);
  copy.copy(buffers.patches[0], 0);
  commit_copies();
  constexpr int kTail = kSplit ? 0 : kTailStages<T>;
  BulkStream<kTail> stream(buffers, weight + std::int64_t{first} * group_chunks<T>(stages), stages, groups);
  stream.start();
  sync_block();

  float map_acc[2][kMapSums];
  UNROLL
  for (int i = 0; i < kMapSums; ++i) map_acc[0][i] = map_acc[1][i] = 0.0f;
  int patch = 0, turn = 0;
  for (int group = 0; group < groups; ++group) {
    float acc[2][kProductColumns / 2];
    begin_with_bias(acc, bias + (first + group) * ConvTile::kColumns);
    for (int slab = 0; slab < slabs; ++slab, ++patch, ++turn) {
      const int next = slab + 1 < slabs ? slab + 1 : group + 1 < groups ? 0 : -1;
      multiply_slab<T>(acc, buffers, copy, stream, patch, turn, next);
    }
    wait_products<0>(acc[0], acc[1]);
    if constexpr (kSplit) {
      UNROLL
      for (int stage = 0; stage < kTailStages<T>; ++stage) {
        Words words;
        activate<T>(words, acc, stage);
        UNROLL
        for (int i = 0; i < 4; ++i) {
          const std::uint32_t(&a)[4] = words.of[i % 2][i / 2];
          store_chunk(scratch + word_chunk<T>(tile, first * kTailStages<T> + stage, i, oc), {{a[0], a[1], a[2], a[3]}});
        }
      }
    } else {
      Words words[2];  // those of the stage before are still read
      UNROLL
      for (int stage = 0; stage < kTailStages<T>; ++stage) {
        const int slot = stage % kSlots;
        activate<T>(words[stage % 2], acc, stage);
        wait_barrier(buffers.arrived[slot], (turn + stage / kSlots) & 1);
        sync_block();
        stream.copy_next((slot + kStagesAhead) % kSlots);
        begin_products();
        project_stage<T>(map_acc, words[stage % 2], &buffers.ring[slot][0]);
        commit_products();
        wait_products<1>(map_acc[0], map_acc[1]);
      }
      wait_products<0>(map_acc[0], map_acc[1]);
      turn += kTailStages<T> / kSlots;
    }
  }
  if constexpr (!kSplit) {
    const int image = tile / (tiles_y * tiles_x);
    store_maps(maps + static_cast<std::int64_t>(image) * kMaps * (h - 1) * (w - 1), map_acc, in.y, in.x, h - 1, w - 1);
  }
}

template <typename T>
struct ProjectBuffers {
  Shared<Chunk, 2, kTailStages<T> * kTailChunks> groups;
  Shared<Barrier, 2> arrived;
};
static_assert(sizeof(ProjectBuffers<Half>) == 32784);  // last_block_wgmma_project_kernel<(Half|Bfloat16)>
static_assert(sizeof(ProjectBuffers<Tf32>) == 65552);  // last_block_wgmma_project_kernel<Tf32>

template <typename T>
__global__ void __launch_bounds__(kWarpgroup)
    last_block_wgmma_project_kernel(float* __restrict__ maps, const Chunk* __restrict__ scratch,
                                    const Chunk* __restrict__ weight, int tiles_y, int tiles_x, int out_h, int out_w,
                                    int ic, int oc) {
  auto& buffers = dynamic_shared<ProjectBuffers<T>>();
  const int tile = block_index(), groups = oc / ConvTile::kColumns, stages = ic / kSlab<T> * ConvTile::kTaps;
  const auto copy_group = [&](int group) {
    if (thread_index() > 0 || group >= groups) return;
    constexpr unsigned kBytes = kTailStages<T> * kTailChunks * sizeof(Chunk);
    const Chunk* from = weight + std::int64_t{group} * group_chunks<T>(stages) + stages * ConvTile::kStageChunks;
    expect_bytes(buffers.arrived[group & 1], kBytes);
    copy_bulk(&buffers.groups[group & 1][0], from, kBytes, buffers.arrived[group & 1]);
  };
  if (thread_index() == 0) {
    for (int slot = 0; slot < 2; ++slot) init_barrier(buffers.arrived[slot]);
    fence_async_proxy();
  }
  copy_group(0);
  copy_group(1);
  sync_block();
  float acc[2][kMapSums];
  UNROLL
  for (int i = 0; i < kMapSums; ++i) acc[0][i] = acc[1][i] = 0.0f;
  for (int group = 0; group < groups; ++group) {
    Words words[kTailStages<T>];
    UNROLL
    for (int i = 0; i < 4 * kTailStages<T>; ++i) {
      const Chunk own = load_chunk(scratch + word_chunk<T>(tile, group * kTailStages<T> + i / 4, i % 4, oc));
      UNROLL
      for (int j = 0; j < 4; ++j) words[i / 4].of[i % 2][i / 2 % 2][j] = own.word[j];
    }
    wait_barrier(buffers.arrived[group & 1], group / 2 & 1);
    begin_products();
    UNROLL
    for (int stage = 0; stage < kTailStages<T>; ++stage)
      project_stage<T>(acc, words[stage], &buffers.groups[group & 1][stage * kTailChunks]);
    commit_products();
    wait_products<0>(acc[0], acc[1]);
    sync_block();
    copy_group(group + 2);
  }
  const int image = tile / (tiles_y * tiles_x);
  store_maps(maps + static_cast<std::int64_t>(image) * kMaps * out_h * out_w, acc,
             tile / tiles_x % tiles_y * ConvTile::kHeight, tile % tiles_x * ConvTile::kWidth, out_h, out_w);
}

template <typename T>
struct Tiles {
  explicit Tiles(const LastBlockTensor<T>& b)
      : y(static_cast<int>(blocks_for(b.h - 1, ConvTile::kHeight))),
        x(static_cast<int>(blocks_for(b.w - 1, ConvTile::kWidth))) {
    const std::int64_t tiles = std::int64_t{b.n} * y * x;
    require(tiles <= INT32_MAX, "last_block_wgmma: the batch is too large for one launch");
    all = static_cast<unsigned>(tiles);
  }
  int y, x;
  unsigned all;
};

template <typename T>
void launch_whole(const LastBlockTensor<T>& b, Stream stream) {
  const Tiles tiles(b);
  launch({.kernel = "last_block_wgmma",
          .blocks = {tiles.all},
          .threads = kWarpgroup,
          .shared_bytes = sizeof(WarpgroupBuffers)},
         stream, last_block_wgmma_kernel<T, false>, b.maps, nullptr, b.input, static_cast<const Chunk*>(b.weight),
         b.bias, tiles.y, tiles.x, b.h, b.w, b.ic, b.oc);
}

template <typename T>
void launch_split(const LastBlockTensor<T>& b, Stream stream) {
  const Tiles tiles(b);
  const auto* weight = static_cast<const Chunk*>(b.weight);
  auto* scratch = reinterpret_cast<Chunk*>(b.scratch);
  launch({.kernel = "last_block_wgmma_convolve",
          .blocks = {tiles.all, static_cast<unsigned>(b.oc / ConvTile::kColumns)},
          .threads = kWarpgroup,
          .shared_bytes = sizeof(WarpgroupBuffers)},
         stream, last_block_wgmma_kernel<T, true>, b.maps, scratch, b.input, weight, b.bias, tiles.y, tiles.x, b.h, b.w,
         b.ic, b.oc);
  launch({.kernel = "last_block_wgmma_project",
          .blocks = {tiles.all},
          .threads = kWarpgroup,
          .shared_bytes = sizeof(ProjectBuffers<T>)},
         stream, last_block_wgmma_project_kernel<T>, b.maps, scratch, weight, tiles.y, tiles.x, b.h - 1, b.w - 1, b.ic,
         b.oc);
}

}  // namespace

template <typename T>
void last_block_wgmma(const LastBlockTensor<T>& b, Stream stream) {
  require(b.n > 0 && b.h > 1 && b.w > 1, "last_block_wgmma: the output is empty");
  require(b.ic > 0 && b.ic % kSlab<T> == 0 && b.oc > 0 && b.oc % ConvTile::kColumns == 0,
          "last_block_wgmma: ic must be a multiple of 64 bytes, oc of 128");
  b.scratch ? launch_split(b, stream) : launch_whole(b, stream);
}

template void last_block_wgmma(const LastBlockTensor<Half>&, Stream);
template void last_block_wgmma(const LastBlockTensor<Bfloat16>&, Stream);
template void last_block_wgmma(const LastBlockTensor<Tf32>&, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
