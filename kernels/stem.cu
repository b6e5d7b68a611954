// stem: y = max(0, maxpool3x3 by 2(conv3x3 by 2(residual, w)) + bias), bias and ReLU being monotone.
//   residual [n][h][w][3]   weight [9][3][64]   bias [64]   ->   output [n][ph][pw][64]
//   conv [ch][cw] with ch = (h-1)/2 + 1, ph = (ch-1)/2 + 1; zeros beyond the residual's border, nothing beyond the
//   convolution's
//   grid   (n * tiles)    block 256 threads = 8 warps; a tile is 8 x 16 pooled outputs, all 64 channels
//   stage  the 35 x 67 residuals that the tile sees, three channels each, into shared memory, a warp a row
//   then   a warp takes a row of pooled outputs, a lane channels 2l and 2l+1 with their 54 weights in registers. It
//          goes along the row: of each column of the convolution the three values above each other and their maximum;
//          of three such maxima the maximum is an output. Every second row of the convolution is computed twice, by two
//          warps, and nothing of it is ever in memory.
// All lanes of a warp read the same residuals: 27 in 15 reads feed 54 multiply-adds. A warp stores 256 bytes side by
// side, 128 of halves.
#include "kernels/launch.h"
#include "kernels/stem.h"
#include "kernels/stem_patch.cuh"
#include "kernels/tensor_core.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kTileRows = 8, kTileColumns = 16;  // pooled outputs
constexpr int kThreads = kTileRows * kWarp;
using Patch = StemPatch<2 * kTileRows + 1, 2 * kTileColumns + 1>;

__device__ __forceinline__ float2 larger(const float2& a, const float2& b) {
  return {maximum(a.x, b.x), maximum(a.y, b.y)};
}

__device__ __forceinline__ void store_pair(float* p, const float (&v)[2]) { store2(p, {v[0], v[1]}); }
template <typename T>
__device__ __forceinline__ void store_pair(T* p, const float (&v)[2]) {
  if constexpr (kPerWord<T> == 2) {
    *reinterpret_cast<std::uint32_t*>(p) = encode<T>(v);
  } else {
    store_words(p, encode<T>(&v[0]), encode<T>(&v[1]));
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads, 2)
    stem_kernel(T* __restrict__ output, const float* __restrict__ residual, const float* __restrict__ weight,
                const float* __restrict__ bias, int tiles_y, int tiles_x, int h, int w) {
  SHARED_ARRAY(float, patch, Patch::kRows, Patch::kPitch);
  const int tile = block_index(), image = tile / (tiles_y * tiles_x);
  const int first_y = tile / tiles_x % tiles_y * kTileRows, first_x = tile % tiles_x * kTileColumns;
  const int channel = 2 * lane_index();

  const float* pixels = residual + static_cast<std::int64_t>(image) * h * w * 3;
  Patch::stage(patch, pixels, 4 * first_y - 3, 4 * first_x - 3, h, w, kTileRows, [](float v, int) { return v; });
  StemWeights own;
  UNROLL
  for (int i = 0; i < 27; ++i) own[i / 9][i % 9] = load2(weight + i * kStemOutputs + channel);
  const float2 b = load2(bias + channel);
  sync_block();

  const int conv_h = (h - 1) / 2 + 1, conv_w = (w - 1) / 2 + 1;
  const int out_h = (conv_h - 1) / 2 + 1, out_w = (conv_w - 1) / 2 + 1;
  const int y = first_y + warp_index();
  if (y >= out_h) return;                          // the whole warp
  const float kNothing = bits_float(0xff800000u);  // minus infinity
  // Of column `at` of the tile's convolution, the first of which lies left of the first output's middle one.
  const auto column = [&](int at) {
    float2 best{kNothing, kNothing};
    if (const int x = 2 * first_x - 1 + at; x < 0 || x >= conv_w) return best;
    UNROLL
    for (int i = 0; i < 3; ++i) {
      if (const int row = 2 * y - 1 + i; row < 0 || row >= conv_h) continue;
      float2 sum{};
      UNROLL
      for (int tap = 0; tap < 3; ++tap) multiply_row(sum, &patch[4 * warp_index() + 2 * i + tap][6 * at], own[tap]);
      best = larger(best, sum);
    }
    return best;
  };
  T* out = output + ((static_cast<std::int64_t>(image) * out_h + y) * out_w + first_x) * kStemOutputs + channel;
  float2 before = column(0);
  ROLLED
  for (int x = 0; x < kTileColumns && first_x + x < out_w; ++x) {
    const float2 middle = column(2 * x + 1), after = column(2 * x + 2);
    const float2 best = larger(larger(before, middle), after);
    store_pair(out + x * kStemOutputs, {relu(best.x + b.x), relu(best.y + b.y)});
    before = after;
  }
}

}  // namespace

template <typename T>
void stem(T* output, const float* residual, const float* weight, const float* bias, int n, int h, int w,
          Stream stream) {
  require(n > 0 && h > 0 && w > 0, "stem: the batch is empty");
  require(w <= INT32_MAX / 4, "stem: the images are too wide");
  const int out_h = ((h - 1) / 2) / 2 + 1, out_w = ((w - 1) / 2) / 2 + 1;
  const unsigned tiles_y = blocks_for(out_h, kTileRows), tiles_x = blocks_for(out_w, kTileColumns);
  const std::int64_t tiles = static_cast<std::int64_t>(n) * tiles_y * tiles_x;
  require(tiles <= INT32_MAX, "stem: the batch is too large for one launch");
  launch({.kernel = "stem", .blocks = {static_cast<unsigned>(tiles)}, .threads = kThreads}, stream, stem_kernel<T>,
         output, residual, weight, bias, static_cast<int>(tiles_y), static_cast<int>(tiles_x), h, w);
}

template void stem(float*, const float*, const float*, const float*, int, int, int, Stream);
template void stem(Half*, const float*, const float*, const float*, int, int, int, Stream);
template void stem(Bfloat16*, const float*, const float*, const float*, int, int, int, Stream);
template void stem(Tf32*, const float*, const float*, const float*, int, int, int, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
