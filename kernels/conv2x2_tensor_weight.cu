// conv2x2_tensor_weight: grad_w[2ky+kx][c][o] = sum over n, y, x of x[y+ky][x+kx][c] g[y][x][o] on tensor cores, in
// BF16 or TF32 with FP32 sums.
//   x [n][h][w][ic]   g [n][h+1][w+1][oc], bordered   ->   grad_w [4][ic][oc] in FP32
// Implicit GEMM over positions, the forward convolution's mirror image: the same tiles of 16 x 8 positions, the same
// patch of x (17 x 9 positions of one slab of channels), which serves all four taps; g takes the weights' place in the
// ring.
//   grid   (ic/slab, oc/128, slices)    block 128 threads: 4 taps x one slab of channels (32 halves, 16 TF32) x 128
//                                       columns
//   warp   the two taps of one ky x 64 columns: 4 x 8 mma of halves, 2 x 8 of TF32 (128 or 64 sums a thread)
//   slice  tiles in order, summed by one thread; sum_partials() adds the slices in order: the same bits in every run
// Where a tile reaches beyond the output, g is zeros.
#include "kernels/conv2x2_tensor_weight.h"
#include "kernels/partial_sums.h"
#include "kernels/tensor_positions.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kWarpColumns = 64;
template <typename T>
constexpr int kSlabTiles = kSlab<T> / 16;  // mma down a slab of channels
template <typename T>
constexpr int kTilesM = 2 * kSlabTiles<T>;
template <typename T>
constexpr int kTileStages = ConvTile::kHeight / kStageRows<T>;
template <typename T>
constexpr int kColumnChunks = ConvTile::kStageChunks / kStagePositions<T>;

// The tiles of a slice, in order: image, then row and column of tiles.
struct TileRange {
  int last;
  int tiles_y, tiles_x;
};

/// The gradient's stages, tile after tile, on their way into the ring.
template <typename T, typename Ring>
class GradientStream {
 public:
  __device__ __forceinline__ GradientStream(Ring& ring, const T* grad_output, const Conv2x2Shape& s, int first,
                                            const TileRange& range)
      : ring_(ring), grad_(grad_output), s_(s), range_(range), tile_(first) {
    locate();
  }

  __device__ __forceinline__ void copy_next() { copy_into(slots_.fill()); }
  __device__ __forceinline__ void copy_into(int number) {
    auto& slot = ring_[number];
    if (tile_ >= range_.last) return;
    copy_positions<T, kColumnChunks<T>>(slot, grad_, [&](int p) -> const T* {
      const int y = y_ + p / ConvTile::kWidth, x = x_ + p % ConvTile::kWidth;
      if (y >= s_.h - 1 || x >= s_.w - 1) return nullptr;
      return image_ + (static_cast<std::int64_t>(y + 1) * (s_.w + 1) + x + 1) * s_.oc;
    });
    y_ += kStageRows<T>;
    if (++stage_ < kTileStages<T>) return;
    stage_ = 0;
    ++tile_;
    locate();
  }

  __device__ __forceinline__ int arrive() { return slots_.arrive(); }

 private:
  __device__ __forceinline__ void locate() {
    const auto at = tile_input(grad_, tile_, range_.tiles_y, range_.tiles_x, s_.h + 1, s_.w + 1, s_.oc);
    image_ = at.image, y_ = at.y, x_ = at.x;
  }

  Ring& ring_;
  const T* grad_;  // of the block's first column
  Conv2x2Shape s_;
  TileRange range_;
  int tile_;
  int stage_ = 0;
  const T* image_ = nullptr;
  int y_ = 0, x_ = 0;  // the next stage's first position
  RingSlots slots_;
};

/// The fragments of the patch for one step: the taps (ky, 0) and (ky, 1), each with the slab's channels. y: the image
/// row of the tile.
template <typename T, typename Patch>
__device__ __forceinline__ void load_taps(std::uint32_t (&a)[kTilesM<T>][4], Patch& patch, int y, int ky, int step) {
  UNROLL
  for (int kx = 0; kx < 2; ++kx) {
    const int p = (y + ky) * ConvTile::kPatchWidth + left_position<T>(step) + kx;
    const int at = patch_chunk(p, left_chunk<T>()), later_at = sizeof(T) == 2 ? 0 : patch_chunk(p + 4, left_chunk<T>());
    UNROLL
    for (int i = 0; i < kSlabTiles<T>; ++i) load_left<T>(a[kx * kSlabTiles<T> + i], patch, at ^ 2 * i, later_at);
  }
}

template <typename T>
__global__ void __launch_bounds__(kTensorThreads, 2)
    conv2x2_tensor_weight_kernel(float* __restrict__ partials, const T* __restrict__ input,
                                 const T* __restrict__ grad_output, Conv2x2Shape s, int tiles, int tiles_y, int tiles_x,
                                 int slice) {
  SHARED_ARRAY(Chunk, patches, 2, ConvTile::kPatchChunks);
  SHARED_ARRAY(Chunk, ring, kStages, ConvTile::kStageChunks);
  const int slab = block_index(), first_column = block_row() * ConvTile::kColumns;
  const int first = block_layer() * slice;
  const TileRange range{tiles - first < slice ? tiles : first + slice, tiles_y, tiles_x};
  const auto patch_of = [&](int tile) { return tile_input(input, tile, tiles_y, tiles_x, s.h, s.w, s.ic); };

  GradientStream gradients(ring, grad_output + first_column, s, first, range);
  if (first < range.last) PatchCopy<T>(patch_of(first)).copy(patches[0], slab);
  UNROLL
  for (int i = 0; i < kStages - 1; ++i) {
    gradients.copy_into(i);
    commit_copies();
  }

  const int ky = warp_index() / 2, warp_column = warp_index() % 2 * kWarpColumns;
  float acc[kTilesM<T>][8][4];
  zero(acc);
  int patch = 0;
  for (int tile = first; tile < range.last; ++tile, patch ^= 1) {
    ROLLED
    for (int stage = 0; stage < kTileStages<T>; ++stage) {
      const int slot = gradients.arrive();
      gradients.copy_next();
      if (stage == 0 && tile + 1 < range.last) PatchCopy<T>(patch_of(tile + 1)).copy(patches[patch ^ 1], slab);
      commit_copies();
      UNROLL
      for (int step = 0; step < kStageSteps; ++step) {
        std::uint32_t a[kTilesM<T>][4];
        load_taps<T>(a, patches[patch], stage * kStageRows<T> + row_of_step<T>(step), ky, step);
        multiply_positions<T, kColumnChunks<T>>(acc, a, ring[slot], chunks_of<T>(warp_column), step);
      }
    }
  }

  float* out = partials + std::int64_t{block_layer()} * 4 * s.ic * s.oc + first_column + warp_column;
  UNROLL
  for (int m = 0; m < kTilesM<T>; ++m) {
    const int tap = 2 * ky + m / kSlabTiles<T>, channel = slab * kSlab<T> + m % kSlabTiles<T> * 16;
    store_tile<T>(out + static_cast<std::int64_t>(tap * s.ic + channel) * s.oc, s.oc, acc[m]);
  }
}

struct Grid {
  int tiles_y, tiles_x, tiles, slices;
};

template <typename T>
Grid grid_of(const Conv2x2Shape& s) {
  require(s.n > 0 && s.h > 1 && s.w > 1, "conv2x2_tensor_weight: the output is empty");
  require(s.ic > 0 && s.ic % kSlab<T> == 0 && s.oc > 0 && s.oc % ConvTile::kColumns == 0,
          "conv2x2_tensor_weight: ic must be a multiple of 64 bytes, oc of 128");
  const int tiles_y = static_cast<int>(blocks_for(s.h - 1, ConvTile::kHeight)),
            tiles_x = static_cast<int>(blocks_for(s.w - 1, ConvTile::kWidth));
  const std::int64_t tiles = static_cast<std::int64_t>(s.n) * tiles_y * tiles_x;
  require(tiles <= INT32_MAX / 2, "conv2x2_tensor_weight: the batch is too large for one launch");
  return {tiles_y, tiles_x, static_cast<int>(tiles), slices_for(tiles, s.ic / kSlab<T> * (s.oc / ConvTile::kColumns))};
}

}  // namespace

template <typename T>
std::size_t conv2x2_tensor_weight_scratch(const Conv2x2Shape& s) {
  return static_cast<std::size_t>(grid_of<T>(s).slices) * 4 * s.ic * s.oc;
}

template <typename T>
void conv2x2_tensor_weight(float* grad_weight, float* scratch, const T* input, const T* grad_output,
                           const Conv2x2Shape& s, bool accumulate, Stream stream) {
  const Grid g = grid_of<T>(s);
  launch({.kernel = "conv2x2_tensor_weight",
          .blocks = {static_cast<unsigned>(s.ic / kSlab<T>), static_cast<unsigned>(s.oc / ConvTile::kColumns),
                     static_cast<unsigned>(g.slices)},
          .threads = kTensorThreads},
         stream, conv2x2_tensor_weight_kernel<T>, scratch, input, grad_output, s, g.tiles, g.tiles_y, g.tiles_x,
         static_cast<int>(blocks_for(g.tiles, g.slices)));
  sum_partials(grad_weight, scratch, g.slices, 4 * s.ic * s.oc, accumulate, stream);
}

template std::size_t conv2x2_tensor_weight_scratch<Bfloat16>(const Conv2x2Shape&);
template std::size_t conv2x2_tensor_weight_scratch<Tf32>(const Conv2x2Shape&);
template void conv2x2_tensor_weight(float*, float*, const Bfloat16*, const Bfloat16*, const Conv2x2Shape&, bool,
                                    Stream);
template void conv2x2_tensor_weight(float*, float*, const Tf32*, const Tf32*, const Conv2x2Shape&, bool, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
