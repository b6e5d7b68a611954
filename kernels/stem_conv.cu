// stem_conv: y[y][x][o] = sum over ky, kx, c of r[2y+ky-1][2x+kx-1][c] w[3ky+kx][c][o], r the scaled residual, zeros
// beyond its border.
//   grad_w[3ky+kx][c][o] = sum over n, y, x of r[2y+ky-1][2x+kx-1][c] g[y][x][o]
//   residual [n][h][w][3]   weight [9][3][64]   ->   output [n][ch][cw][64]
//
//   tile   8 x 32 outputs, all 64 channels; block 256 threads = 8 warps
//   stage  the 17 x 65 residuals that the tile sees, three channels each, into shared memory, a warp a row
//   then   a warp takes a row of outputs, a lane channels 2l and 2l+1. All lanes read the same residuals: 27 in 15
//          reads feed 54 multiply-adds. A warp stores, or reads the gradient, 256 bytes side by side.
// Forward  grid (n * tiles): the 54 weights stay in registers.
// Backward grid (slices): a block goes through the tiles of its slice; the 54 sums stay in registers, and the warps add
//          theirs one after the other. sum_partials() adds the slices.
#include "kernels/launch.h"
#include "kernels/partial_sums.h"
#include "kernels/stem.h"
#include "kernels/stem_conv.h"
#include "kernels/stem_patch.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kTileRows = 8, kTileColumns = 32;
constexpr int kThreads = kTileRows * kWarp;
constexpr int kTerms = 27;  // taps times input channels
constexpr int kWeights = kTerms * kStemOutputs;
constexpr int kAhead = 4;  // positions whose gradient a lane loads before it multiplies the first
using Patch = StemPatch<kTileRows, kTileColumns>;

struct StemShape {
  int h, w;          // of the residual
  int out_h, out_w;  // of the convolution
  int tiles_y, tiles_x, tiles;
};

/// A tile: its image, and its first output.
struct Tile {
  std::int64_t image;
  int y, x;
  __device__ __forceinline__ Tile(int tile, const StemShape& s)
      : image(tile / (s.tiles_y * s.tiles_x)),
        y(tile / s.tiles_x % s.tiles_y * kTileRows),
        x(tile % s.tiles_x * kTileColumns) {}
  /// Of the row that the warp takes; it may lie below the map.
  __device__ __forceinline__ std::int64_t row(const StemShape& s) const {
    return ((image * s.out_h + y + warp_index()) * s.out_w + x) * kStemOutputs + 2 * lane_index();
  }
};

template <typename Array>
__device__ __forceinline__ void stage(Array& patch, const float* residual, const ResidualScale& scale, const Tile& tile,
                                      const StemShape& s) {
  Patch::stage(patch, residual + tile.image * s.h * s.w * 3, 2 * tile.y - 1, 2 * tile.x - 1, s.h, s.w, kTileRows,
               [&](float v, int c) {
                 return v * (c == 0 ? scale.channel[0] : c == 1 ? scale.channel[1] : scale.channel[2]);
               });
}

__global__ void __launch_bounds__(kThreads, 2)
    stem_conv_kernel(float* __restrict__ output, const float* __restrict__ residual, ResidualScale scale,
                     const float* __restrict__ weight, StemShape s) {
  SHARED_ARRAY(float, patch, Patch::kRows, Patch::kPitch);
  const Tile tile(block_index(), s);
  stage(patch, residual, scale, tile, s);
  StemWeights own;
  UNROLL
  for (int i = 0; i < kTerms; ++i) own[i / 9][i % 9] = load2(weight + i * kStemOutputs + 2 * lane_index());
  sync_block();
  if (tile.y + warp_index() >= s.out_h) return;  // the whole warp
  float* const out = output + tile.row(s);
  ROLLED
  for (int x = 0; x < kTileColumns && tile.x + x < s.out_w; ++x) {
    float2 sum{};
    UNROLL
    for (int tap = 0; tap < 3; ++tap) multiply_row(sum, &patch[2 * warp_index() + tap][6 * x], own[tap]);
    store2(out + x * kStemOutputs, sum);
  }
}

__global__ void __launch_bounds__(kThreads, 2)
    stem_conv_backward_weight_kernel(float* __restrict__ partials, const float* __restrict__ residual,
                                     ResidualScale scale, const float* __restrict__ grad_output, StemShape s,
                                     int slice) {
  SHARED_ARRAY(float, patch, Patch::kRows, Patch::kPitch);
  SHARED_ARRAY(float, sums, kTerms, kStemOutputs);
  const int begin = block_index() * slice, end = s.tiles - begin < slice ? s.tiles : begin + slice;
  StemWeights acc;
  UNROLL
  for (int i = 0; i < kTerms; ++i) acc[i / 9][i % 9] = {};
  for (int at = begin; at < end; ++at) {
    const Tile tile(at, s);
    stage(patch, residual, scale, tile, s);
    sync_block();
    const bool has_row = tile.y + warp_index() < s.out_h;
    const int columns = !has_row ? 0 : s.out_w - tile.x < kTileColumns ? s.out_w - tile.x : kTileColumns;
    const float* const grad = grad_output + tile.row(s);
    ROLLED
    for (int first = 0; first < columns; first += kAhead) {
      float2 g[kAhead];
      UNROLL
      for (int i = 0; i < kAhead; ++i) {  // beyond the end the last one, which counts nothing
        const int x = first + i;
        g[i] = load2(grad + (x < columns ? x : columns - 1) * kStemOutputs);
        if (x >= columns) g[i] = {};
      }
      UNROLL
      for (int i = 0; i < kAhead; ++i) {
        UNROLL
        for (int tap = 0; tap < 3; ++tap) {
          float v[9];
          load_taps(v, &patch[2 * warp_index() + tap][6 * (first + i)]);
          UNROLL
          for (int j = 0; j < 9; ++j) {
            acc[tap][j].x += v[j] * g[i].x;
            acc[tap][j].y += v[j] * g[i].y;
          }
        }
      }
    }
    sync_block();
  }
  for (int warp = 0; warp < kTileRows; ++warp) {
    if (warp == warp_index()) {
      UNROLL
      for (int i = 0; i < kTerms; ++i) {
        float* const to = &sums[i][2 * lane_index()];
        const float2 before = warp == 0 ? float2{} : load2(to), own = acc[i / 9][i % 9];
        store2(to, {before.x + own.x, before.y + own.y});
      }
    }
    sync_block();
  }
  for (int i = thread_index(); i < kWeights; i += kThreads) {
    partials[std::int64_t{block_index()} * kWeights + i] = sums[i / kStemOutputs][i % kStemOutputs];
  }
}

StemShape shape_of(int n, int h, int w) {
  require(n > 0 && h > 0 && w > 0, "stem_conv: the batch is empty");
  require(w <= INT32_MAX / 4, "stem_conv: the images are too wide");
  const int out_h = (h - 1) / 2 + 1, out_w = (w - 1) / 2 + 1;
  const int tiles_y = static_cast<int>(blocks_for(out_h, kTileRows)),
            tiles_x = static_cast<int>(blocks_for(out_w, kTileColumns));
  const std::int64_t tiles = static_cast<std::int64_t>(n) * tiles_y * tiles_x;
  require(tiles <= INT32_MAX, "stem_conv: the batch is too large for one launch");
  return {h, w, out_h, out_w, tiles_y, tiles_x, static_cast<int>(tiles)};
}

}  // namespace

void stem_conv(float* output, const FirstConvInput<float>& residual, const float* weight, Stream stream) {
  const StemShape shape = shape_of(residual.n, residual.height, residual.width);
  launch({.kernel = "stem_conv", .blocks = {static_cast<unsigned>(shape.tiles)}, .threads = kThreads}, stream,
         stem_conv_kernel, output, residual.pixels, residual.scale, weight, shape);
}

std::size_t stem_conv_backward_weight_scratch(int n, int h, int w) {
  return static_cast<std::size_t>(slices_for(shape_of(n, h, w).tiles, 1)) * kWeights;
}

void stem_conv_backward_weight(float* grad_weight, float* scratch, const FirstConvInput<float>& residual,
                               const float* grad_output, bool accumulate, Stream stream) {
  const StemShape shape = shape_of(residual.n, residual.height, residual.width);
  const int slice = static_cast<int>(blocks_for(shape.tiles, slices_for(shape.tiles, 1)));
  const unsigned slices = blocks_for(shape.tiles, slice);
  launch({.kernel = "stem_conv_backward_weight", .blocks = {slices}, .threads = kThreads}, stream,
         stem_conv_backward_weight_kernel, scratch, residual.pixels, residual.scale, grad_output, shape, slice);
  sum_partials(grad_weight, scratch, static_cast<int>(slices), kWeights, accumulate, stream);
}

}  // namespace lfm::kernels::inline LFM_TARGET
