// pool_head: features = the k largest values of each map, descending; logit = bias + features . weight.
//   maps [n][channels][area]   weight [channels*k]   bias [1]   ->   features [n][channels*k]   logits [n]
//   grid   (n)    block 512 threads = 16 warps; a warp takes every 16th map of its image (topk_list.cuh)
// A lane multiplies the ranks it holds with their weights and keeps one sum over its warp's maps; a butterfly adds the lanes, thread 0 the
// warps: a fixed order. Each map is read once, 128 bytes a warp.
#include "kernels/pool_head.h"

#include "kernels/launch.h"
#include "kernels/topk_list.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kWarps = 16;

template <int kSlots>
__global__ void __launch_bounds__(kWarps* kWarp)
    pool_head_kernel(float* __restrict__ logits, float* __restrict__ features, const float* __restrict__ maps,
                     const float* __restrict__ weight, const float* __restrict__ bias, int channels, int area, int k) {
  SHARED_ARRAY(float, partial, kWarps);
  const std::int64_t image = block_index();
  float sum = 0.0f;
  for (int channel = warp_index(); channel < channels; channel += kWarps) {
    SortedList<kSlots> best;
    best.select(maps + (image * channels + channel) * area, area, k);
    UNROLL
    for (int s = 0; s < kSlots; ++s) {
      const int rank = s * kWarp + lane_index();
      if (rank >= k) break;
      const float value = value_of(best.key[s]);
      features[(image * channels + channel) * k + rank] = value;
      sum += value * weight[channel * k + rank];
    }
  }
  sum = warp_sum(sum);
  if (lane_index() == 0) partial[warp_index()] = sum;
  sync_block();
  if (thread_index() != 0) return;
  float logit = bias[0];
  UNROLL
  for (int warp = 0; warp < kWarps; ++warp) logit += partial[warp];
  logits[image] = logit;
}

}  // namespace

void pool_head(float* logits, float* features, const float* maps, const float* weight, const float* bias, int n, int channels, int area,
               int k, Stream stream) {
  require(n > 0 && channels > 0 && k > 0 && k <= area, "pool_head: needs 1 <= k <= positions of a map");
  require(k <= kMaxListK, "pool_head: k is larger than 128");
  const auto kernel = k <= kWarp ? pool_head_kernel<1> : k <= 2 * kWarp ? pool_head_kernel<2> : pool_head_kernel<4>;
  launch({.kernel = "pool_head", .blocks = {static_cast<unsigned>(n)}, .threads = kWarps * kWarp}, stream, kernel, logits, features, maps,
         weight, bias, channels, area, k);
}

}  // namespace lfm::kernels::inline LFM_TARGET
