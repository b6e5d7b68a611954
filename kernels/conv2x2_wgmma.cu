// conv2x2_wgmma: y = max(0, maxpool2x2(conv2x2(x, w)) + bias) by Hopper's warpgroup products, as conv2x2_tensor.
//   input [n][h][w][ic]   weight packed in stages   bias [oc]   ->   output [n][ph][pw][oc],
//   ph = (h-1)/2, pw = (w-1)/2
//   grid       (n * ceil(ph/4G) * ceil(pw/8), oc/128)    block 128 G threads, 8 x 4G windows x 128 channels
//   warpgroup  8 x 4 windows: one product for the 64 even positions of its eight image rows, one for the odd ones
//   warp       a row of windows: rows g and g+8 of its 16 are positions of two image rows
// So a window's four positions are sums of one thread, of two products and two rows; channels as in conv2x2_tensor.
//
// Both matrices are read from shared memory, where a tap is but another address (WarpgroupTile in tensor_layout.h). The
// patch is copied by all threads, for its border is zeros; a stage of weights by one thread as one bulk copy. The
// products of a stage are waited for during the next one, so its slot, and the patch after a slab's last tap, are free
// after the barrier of the one after that: a ring of four stages, one for each tap, two of them on their way.
#include "kernels/conv2x2_wgmma.h"
#include "kernels/tensor_conv.cuh"
#include "kernels/warpgroup.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kSlots = ConvTile::kTaps;
constexpr int kAhead = kSlots - 2;  // stages on their way
constexpr int kWindowsX = ConvTile::kWidth / 2;

template <int kWarpgroups>
struct Buffers {
  Shared<Chunk, 2, WarpgroupTile<kWarpgroups>::kPatchChunks> patches;
  Shared<Chunk, kSlots, ConvTile::kStageChunks> ring;
  Shared<Barrier, kSlots> arrived;
};
// tools/check-kernels reads how much they take.
static_assert(sizeof(Buffers<1>) == 52512);
static_assert(sizeof(Buffers<2>) == 69920);

// Copies a tile's patch, a slab at a time: of every 32 positions to a warpgroup a chunk a thread.
template <typename T, int kWarpgroups>
class WarpgroupPatchCopy {
 public:
  using Tile = WarpgroupTile<kWarpgroups>;

  __device__ __forceinline__ explicit WarpgroupPatchCopy(const TileInput<T>& in)
      : from_(in.image + (static_cast<std::int64_t>(in.y) * in.w + in.x) * in.ic +
              thread_index() % ConvTile::kSlabChunks * kPerChunk<T>),
        w_(in.w),
        ic_(in.ic),
        rows_(in.h - in.y),
        columns_(in.w - in.x) {}

  // Where a position lies is computed anew for every slab: the sums leave few registers.
  template <typename Patch>
  __device__ __forceinline__ void copy(Patch& patch, int slab) const {
    const int chunk = thread_index() % ConvTile::kSlabChunks, first = thread_index() / ConvTile::kSlabChunks;
    UNROLL
    for (int i = 0; i < kCopies; ++i) {
      const int p = first + i * kStride, y = p / ConvTile::kPatchWidth, at = p % ConvTile::kPatchWidth;
      if (p >= Tile::kPositions) break;
      const int x = at < Tile::kOddPositions ? 2 * at : 2 * (at - Tile::kOddPositions) + 1;
      copy_async(&patch[chunk * Tile::kPatchPlane + p], from_ + (y * w_ + x) * ic_ + slab * kSlab<T>,
                 y < rows_ && x < columns_);
    }
  }

 private:
  static constexpr int kStride = kWarpgroup * kWarpgroups / ConvTile::kSlabChunks;  // positions from copy to copy
  static constexpr int kCopies = (Tile::kPositions + kStride - 1) / kStride;

  const T* from_;                // the thread's chunk of the patch's first position
  int w_, ic_, rows_, columns_;  // of the image; from the patch's first position to its end
};

// Where a product's positions lie in the patch, in chunks: those of parity `odd`, moved by the tap.
__device__ __forceinline__ constexpr int of_tap(int tap, int odd) {
  const int x = odd + tap % 2;
  return tap / 2 * ConvTile::kPatchWidth + (x == 1 ? WarpgroupTile<1>::kOddPositions : x / 2);
}

template <typename T, int kWarpgroups>
__global__ void __launch_bounds__(kWarpgroup* kWarpgroups, kWarpgroups == 1 ? 3 : 1)
    conv2x2_wgmma_kernel(T* __restrict__ output, const T* __restrict__ input, const Chunk* __restrict__ weight,
                         const float* __restrict__ bias, int tiles_y, int tiles_x, int h, int w, int ic, int oc) {
  using Tile = WarpgroupTile<kWarpgroups>;
  auto& [patches, ring, arrived] = dynamic_shared<Buffers<kWarpgroups>>();
  const int tile = block_index(), first_channel = block_row() * ConvTile::kColumns;
  const int image = tile / (tiles_y * tiles_x);
  const TileInput<T> in{input + static_cast<std::int64_t>(image) * h * w * ic,
                        h,
                        w,
                        ic,
                        tile / tiles_x % tiles_y * Tile::kHeight,
                        tile % tiles_x * ConvTile::kWidth};
  const int slabs = ic / kSlab<T>, stages = slabs * ConvTile::kTaps;
  weight += std::int64_t{block_row()} * stages * ConvTile::kStageChunks;

  const auto copy_stage = [&](int stage, int slot) {
    expect_bytes(arrived[slot], ConvTile::kStageBytes);
    copy_bulk(&ring[slot][0], weight + std::int64_t{stage} * ConvTile::kStageChunks, ConvTile::kStageBytes,
              arrived[slot]);
  };
  const WarpgroupPatchCopy<T, kWarpgroups> copy(in);
  copy.copy(patches[0], 0);
  commit_copies();
  if (thread_index() == 0) {
    for (int slot = 0; slot < kSlots; ++slot) init_barrier(arrived[slot]);
    fence_async_proxy();
    for (int slot = 0; slot < kAhead; ++slot) copy_stage(slot, slot);
  }
  sync_block();  // the barriers are initialised

  const int warpgroup = warp_index() / (kWarpgroup / kWarp);
  float acc[2][kProductColumns / 2];  // of even positions and of odd ones
  UNROLL
  for (int i = 0; i < kProductColumns / 2; ++i) acc[0][i] = acc[1][i] = 0.0f;
  for (int slab = 0; slab < slabs; ++slab) {
    const Matrix rows = matrix(&patches[slab & 1][warpgroup * ConvTile::kHeight * ConvTile::kPatchWidth],
                               Tile::kPatchPlane, ConvTile::kPatchWidth);
    UNROLL
    for (int tap = 0; tap < ConvTile::kTaps; ++tap) {
      if (tap == 0) {
        wait_copies<0>();
        fence_async_proxy();
      }
      wait_barrier(arrived[tap], slab & 1);
      sync_block();
      const int next = slab * ConvTile::kTaps + tap + kAhead;
      if (thread_index() == 0 && next < stages) copy_stage(next, next % kSlots);
      if (tap == 1 && slab + 1 < slabs) {
        copy.copy(patches[(slab + 1) & 1], slab + 1);
        commit_copies();
      }
      const Matrix columns = matrix(&ring[tap][0], ConvTile::kColumns, 8);
      begin_products();
      UNROLL
      for (int k = 0; k < ConvTile::kSlabChunks; k += 2) {
        UNROLL
        for (int odd = 0; odd < 2; ++odd) {
          multiply_async<T>(acc[odd], rows + (of_tap(tap, odd) + k * Tile::kPatchPlane),
                            columns + k * ConvTile::kColumns);
        }
      }
      commit_products();
      wait_products<1>(acc[0], acc[1]);
    }
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

template <typename T, int kWarpgroups>
void launch_with(const Conv2x2Tensor<T>& c, Stream stream) {
  const int ph = (c.h - 1) / 2, pw = (c.w - 1) / 2;
  const unsigned tiles_y = blocks_for(ph, WarpgroupTile<kWarpgroups>::kHeight / 2), tiles_x = blocks_for(pw, kWindowsX);
  const std::int64_t tiles = static_cast<std::int64_t>(c.n) * tiles_y * tiles_x;
  require(tiles <= INT32_MAX, "conv2x2_wgmma: the batch is too large for one launch");
  launch({.kernel = "conv2x2_wgmma",
          .blocks = {static_cast<unsigned>(tiles), static_cast<unsigned>(c.oc / ConvTile::kColumns)},
          .threads = kWarpgroup * kWarpgroups,
          .shared_bytes = sizeof(Buffers<kWarpgroups>)},
         stream, conv2x2_wgmma_kernel<T, kWarpgroups>, c.output, c.input, static_cast<const Chunk*>(c.weight), c.bias,
         static_cast<int>(tiles_y), static_cast<int>(tiles_x), c.h, c.w, c.ic, c.oc);
}

}  // namespace

template <typename T>
void conv2x2_wgmma(const Conv2x2Tensor<T>& c, int warpgroups, Stream stream) {
  require(c.n > 0 && (c.h - 1) / 2 > 0 && (c.w - 1) / 2 > 0, "conv2x2_wgmma: the output is empty");
  require(c.ic > 0 && c.ic % kSlab<T> == 0 && c.oc > 0 && c.oc % ConvTile::kColumns == 0,
          "conv2x2_wgmma: ic must be a multiple of 64 bytes, oc of 128");
  require(warpgroups == 1 || warpgroups == 2, "conv2x2_wgmma: a block has one warpgroup or two");
  warpgroups == 1 ? launch_with<T, 1>(c, stream) : launch_with<T, 2>(c, stream);
}

template void conv2x2_wgmma(const Conv2x2Tensor<Half>&, int, Stream);
template void conv2x2_wgmma(const Conv2x2Tensor<Bfloat16>&, int, Stream);
template void conv2x2_wgmma(const Conv2x2Tensor<Tf32>&, int, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
