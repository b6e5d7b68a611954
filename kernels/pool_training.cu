// pool_training: RBLD and RKS on the selected values, and the gradients' way back to the maps.
//   rbld           values[row][r] *= factor[row][r], factor = scale[r] or 0
//   rks_draw       positions[row][.] = k of area without replacement (R. Floyd's method: serial, so one thread a row)
//   rks_gather     rank of a drawn value = how many of the row's k stand before it; k^2 comparisons in cache, no
//                  barrier
//   pool_backward  grad_maps[image][position][channel] += grad_values[row][r] * factor[row][r]
//   average_pool_backward  grad_maps[image][.][channel] (+)= grad_values[row] / area, a row of blocks an image
// One thread an item everywhere, 256 a block. A launch of pool_backward adds to each place at most once, since the
// positions of a row differ; top-k and RKS are two launches, in stream order. So sums have a fixed order without
// atomics.
#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/order.cuh"
#include "kernels/pool_training.h"
#include "src/random/philox.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    rbld_kernel(float* __restrict__ values, float* __restrict__ factors, const std::uint8_t* __restrict__ keep,
                const float* __restrict__ drop, const float* __restrict__ scale, DrawOrigin origin, int rows,
                int channels, int k) {
  const std::int64_t i = wide_item_index(kThreads);
  if (i >= static_cast<std::int64_t>(rows) * k) return;
  const int rank = static_cast<int>(i % k), row = static_cast<int>(i / k);
  const bool kept = keep ? keep[i] != 0
                         : rbld_uniform(origin.seed, origin.step, origin.first_image + row / channels, row % channels,
                                        rank) >= drop[rank];
  const float factor = kept ? scale[rank] : 0.0f;
  factors[i] = factor;
  values[i] *= factor;
}

__global__ void __launch_bounds__(kThreads)
    rks_draw_kernel(std::int32_t* positions, DrawOrigin origin, int rows, int channels, int area, int k) {
  const int row = item_index(kThreads);
  if (row >= rows) return;
  rks_positions(origin.seed, origin.step, origin.first_image + row / channels, row % channels, area, k,
                positions + static_cast<std::int64_t>(row) * k);
}

__global__ void __launch_bounds__(kThreads)
    rks_gather_kernel(float* __restrict__ values, std::int32_t* __restrict__ positions,
                      const std::int32_t* __restrict__ drawn, const float* __restrict__ maps, int rows, int area,
                      int k) {
  const std::int64_t i = wide_item_index(kThreads);
  if (i >= static_cast<std::int64_t>(rows) * k) return;
  const std::int64_t row = i / k;
  const float* map = maps + row * area;
  const std::int32_t own = drawn[i];
  const std::uint32_t own_key = key_of(map[own]);
  int rank = 0;
  for (int j = 0; j < k; ++j) {
    const std::int32_t other = drawn[row * k + j];
    const std::uint32_t key = key_of(map[other]);
    rank += key > own_key || (key == own_key && other < own);
  }
  values[row * k + rank] = map[own];
  positions[row * k + rank] = own;
}

__global__ void __launch_bounds__(kThreads)
    pool_backward_kernel(float* __restrict__ grad_maps, const float* __restrict__ grad_values,
                         const float* __restrict__ factors, const std::int32_t* __restrict__ positions, int rows,
                         int channels, int area, int k) {
  const std::int64_t i = wide_item_index(kThreads);
  if (i >= static_cast<std::int64_t>(rows) * k) return;
  const int row = static_cast<int>(i / k);
  const std::int64_t at = (std::int64_t{row / channels} * area + positions[i]) * channels + row % channels;
  grad_maps[at] += factors ? grad_values[i] * factors[i] : grad_values[i];
}

__global__ void __launch_bounds__(kThreads)
    average_pool_backward_kernel(float* __restrict__ grad_maps, const float* __restrict__ grad_values, int channels,
                                 int area, bool accumulate) {
  const int i = item_index(kThreads);  // in the image's maps
  if (i >= area * channels) return;
  const float grad = grad_values[block_row() * channels + i % channels] / static_cast<float>(area);
  float* const to = grad_maps + std::int64_t{block_row()} * area * channels + i;
  *to = accumulate ? *to + grad : grad;
}

Launch one_thread_per(const char* kernel, std::int64_t items) {
  require(items > 0 && items <= static_cast<std::int64_t>(INT32_MAX) * kThreads,
          "pool_training: the batch is empty or too large");
  return {.kernel = kernel, .blocks = {blocks_for(items, kThreads)}, .threads = kThreads, .synchronises = false};
}

void check(int rows, int channels, int k) {
  require(channels > 0 && rows > 0 && rows % channels == 0, "pool_training: rows are images times channels");
  require(k > 0, "pool_training: k must be positive");
}

}  // namespace

void rbld(float* values, float* factors, const std::uint8_t* keep, const float* drop, const float* scale,
          const DrawOrigin& origin, int rows, int channels, int k, Stream stream) {
  check(rows, channels, k);
  launch(one_thread_per("rbld", static_cast<std::int64_t>(rows) * k), stream, rbld_kernel, values, factors, keep, drop,
         scale, origin, rows, channels, k);
}

void rks_draw(std::int32_t* positions, const DrawOrigin& origin, int rows, int channels, int area, int k,
              Stream stream) {
  check(rows, channels, k);
  require(k <= area, "rks_draw: k is larger than the map");
  launch(one_thread_per("rks_draw", rows), stream, rks_draw_kernel, positions, origin, rows, channels, area, k);
}

void rks_gather(float* values, std::int32_t* positions, const std::int32_t* drawn, const float* maps, int rows,
                int area, int k, Stream stream) {
  check(rows, 1, k);
  launch(one_thread_per("rks_gather", static_cast<std::int64_t>(rows) * k), stream, rks_gather_kernel, values,
         positions, drawn, maps, rows, area, k);
}

void pool_backward(float* grad_maps, const float* grad_values, const float* factors, const std::int32_t* positions,
                   int rows, int channels, int area, int k, Stream stream) {
  check(rows, channels, k);
  launch(one_thread_per("pool_backward", static_cast<std::int64_t>(rows) * k), stream, pool_backward_kernel, grad_maps,
         grad_values, factors, positions, rows, channels, area, k);
}

void average_pool_backward(float* grad_maps, const float* grad_values, int rows, int channels, int area,
                           bool accumulate, Stream stream) {
  check(rows, channels, 1);
  require(area > 0, "average_pool_backward: the maps are empty");
  require(rows / channels <= kMaxGridY && static_cast<std::int64_t>(area) * channels <= INT32_MAX - kThreads,
          "average_pool_backward: the batch is too large for one launch");
  Launch how = one_thread_per("average_pool_backward", static_cast<std::int64_t>(area) * channels);
  how.blocks.y = static_cast<unsigned>(rows / channels);
  launch(how, stream, average_pool_backward_kernel, grad_maps, grad_values, channels, area, accumulate);
}

}  // namespace lfm::kernels::inline LFM_TARGET
