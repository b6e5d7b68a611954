// distill_maps: the smooth L1 distance of maps to a teacher's, and its gradient.
//   maps, teacher [n][64][area]   ->   grad_maps [n][area][64], partials [tiles][n]
//   grid   (tiles of 32 positions, n)    block 256 threads = 8 warps
// A warp reads 32 positions of one channel side by side, eight channels in all, and leaves the gradient in shared
// memory; the block then writes it with the channels side by side. Rows of 33 floats: neither way meets a bank twice.
// Sums: a thread's eight channels in order, the warp's butterfly, the warps in order; sum_partials adds the tiles.
// distill_logits: one thread an image.
#include <cstdint>

#include "kernels/device.cuh"
#include "kernels/distillation.h"
#include "kernels/launch.h"
#include "kernels/projection.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kMaps = kProjectionChannels;
static_assert(kDistillationTile == kWarp, "a lane is a position");

__device__ __forceinline__ float smooth_l1(float difference) {
  const float size = difference < 0.0f ? -difference : difference;
  return size < 1.0f ? 0.5f * size * size : size - 0.5f;
}

__device__ __forceinline__ float smooth_l1_derivative(float difference) {
  return difference < -1.0f ? -1.0f : difference > 1.0f ? 1.0f : difference;
}

__global__ void __launch_bounds__(kThreads)
    distill_maps_kernel(float* __restrict__ grad_maps, float* __restrict__ partials, const float* __restrict__ maps,
                        const float* __restrict__ teacher, const float* __restrict__ scale, float weight, int n,
                        int area) {
  SHARED_ARRAY(float, tile, kMaps, kDistillationTile + 1);
  SHARED_ARRAY(float, sums, kWarps);
  const int image = block_row(), first = block_index() * kDistillationTile;
  const int position = first + lane_index();
  float sum = 0.0f;
  UNROLL
  for (int i = 0; i < kMaps / kWarps; ++i) {
    const int c = warp_index() + kWarps * i;
    if (position < area) {
      const std::int64_t at = (static_cast<std::int64_t>(image) * kMaps + c) * area + position;
      const float difference = (maps[at] - teacher[at]) * scale[c];
      sum += smooth_l1(difference);
      tile[c][lane_index()] = weight * scale[c] * smooth_l1_derivative(difference);
    }
  }
  sum = warp_sum(sum);
  if (lane_index() == 0) sums[warp_index()] = sum;
  sync_block();

  const int c = thread_index() % kMaps;
  for (int p = thread_index() / kMaps; p < kDistillationTile && first + p < area; p += kThreads / kMaps) {
    grad_maps[(static_cast<std::int64_t>(image) * area + first + p) * kMaps + c] = tile[c][p];
  }
  if (thread_index() == 0) {
    float total = 0.0f;
    UNROLL
    for (int w = 0; w < kWarps; ++w) total += sums[w];
    partials[std::int64_t{block_index()} * n + image] = total;
  }
}

__global__ void __launch_bounds__(kThreads)
    distill_gradient_naive_kernel(float* __restrict__ grad_maps, const float* __restrict__ maps,
                                  const float* __restrict__ teacher, const float* __restrict__ scale, float weight,
                                  int n, int area) {
  const std::int64_t i = wide_item_index(kThreads);
  if (i >= static_cast<std::int64_t>(n) * kMaps * area) return;
  const std::int64_t image = i / area / kMaps, p = i % area;
  const int c = static_cast<int>(i / area % kMaps);
  grad_maps[(image * area + p) * kMaps + c] =
      weight * scale[c] * smooth_l1_derivative((maps[i] - teacher[i]) * scale[c]);
}

__global__ void __launch_bounds__(kThreads)
    distill_sums_naive_kernel(float* __restrict__ partials, const float* __restrict__ maps,
                              const float* __restrict__ teacher, const float* __restrict__ scale, int n, int area,
                              int tiles) {
  const int i = item_index(kThreads);
  if (i >= tiles * n) return;
  const int image = i % n, first = i / n * kDistillationTile;
  float sum = 0.0f;
  for (int c = 0; c < kMaps; ++c) {
    for (int p = first; p < first + kDistillationTile && p < area; ++p) {
      const std::int64_t at = (static_cast<std::int64_t>(image) * kMaps + c) * area + p;
      sum += smooth_l1((maps[at] - teacher[at]) * scale[c]);
    }
  }
  partials[i] = sum;
}

__global__ void __launch_bounds__(kThreads)
    distill_logits_kernel(float* __restrict__ distances, float* __restrict__ grad_logits,
                          const float* __restrict__ logits, const float* __restrict__ teacher,
                          const float* __restrict__ scale, float weight, int n) {
  const int i = item_index(kThreads);
  if (i >= n) return;
  const float difference = (logits[i] - teacher[i]) * scale[0];
  distances[i] = smooth_l1(difference);
  grad_logits[i] += weight * scale[0] * smooth_l1_derivative(difference);
}

void check(int n, int area) {
  require(n > 0 && area > 0, "distill_maps: the batch is empty");
  require(n <= kMaxGridY, "distill_maps: the batch is too large for one launch");
}

}  // namespace

void distill_maps(float* grad_maps, float* partials, const float* maps, const float* teacher, const float* scale,
                  float weight, int n, int area, Stream stream) {
  check(n, area);
  launch({.kernel = "distill_maps",
          .blocks = {static_cast<unsigned>(distillation_tiles(area)), static_cast<unsigned>(n)},
          .threads = kThreads},
         stream, distill_maps_kernel, grad_maps, partials, maps, teacher, scale, weight, n, area);
}

void distill_maps_naive(float* grad_maps, float* partials, const float* maps, const float* teacher, const float* scale,
                        float weight, int n, int area, Stream stream) {
  check(n, area);
  const std::int64_t values = static_cast<std::int64_t>(n) * kMaps * area;
  const int tiles = distillation_tiles(area);
  launch({.kernel = "distill_gradient_naive",
          .blocks = {blocks_for(values, kThreads)},
          .threads = kThreads,
          .synchronises = false},
         stream, distill_gradient_naive_kernel, grad_maps, maps, teacher, scale, weight, n, area);
  launch({.kernel = "distill_sums_naive",
          .blocks = {blocks_for(tiles * n, kThreads)},
          .threads = kThreads,
          .synchronises = false},
         stream, distill_sums_naive_kernel, partials, maps, teacher, scale, n, area, tiles);
}

void distill_logits(float* distances, float* grad_logits, const float* logits, const float* teacher, const float* scale,
                    float weight, int n, Stream stream) {
  require(n > 0, "distill_logits: the batch is empty");
  launch({.kernel = "distill_logits", .blocks = {blocks_for(n, kThreads)}, .threads = kThreads, .synchronises = false},
         stream, distill_logits_kernel, distances, grad_logits, logits, teacher, scale, weight, n);
}

}  // namespace lfm::kernels::inline LFM_TARGET
