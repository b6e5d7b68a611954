// pool_head: features = the k largest values of each map, descending; logit = bias + features . weight.
//   maps [n][channels][area]   weight [channels*k]   bias [1]   ->   features [n][channels*k]   logits [n]
// Two launches: topk_pool, a warp a map over the whole GPU, whatever the batch; then
//   grid   (n)    block 512 threads = 16 warps; a warp takes every 16th map of its image, a lane every 32nd of its
//                 ranks
// A lane keeps one sum over its warp's maps; a butterfly adds the lanes, thread 0 the warps: a fixed order.
#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/pool_head.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kWarps = 16;

__global__ void __launch_bounds__(kWarps* kWarp)
    head_of_maps_kernel(float* __restrict__ logits, const float* __restrict__ features,
                        const float* __restrict__ weight, const float* __restrict__ bias, int channels, int k) {
  SHARED_ARRAY(float, partial, kWarps);
  const std::int64_t image = block_index();
  float sum = 0.0f;
  for (int channel = warp_index(); channel < channels; channel += kWarps) {
    for (int rank = lane_index(); rank < k; rank += kWarp) {
      sum += features[(image * channels + channel) * k + rank] * weight[channel * k + rank];
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

void pool_head(float* logits, float* features, const float* maps, const float* weight, const float* bias, int n,
               int channels, int area, int k, Stream stream) {
  require(n > 0 && channels > 0, "pool_head: the batch is empty");
  topk_pool(features, nullptr, maps, n * channels, area, k, stream);
  launch({.kernel = "head_of_maps", .blocks = {static_cast<unsigned>(n)}, .threads = kWarps * kWarp}, stream,
         head_of_maps_kernel, logits, features, weight, bias, channels, k);
}

}  // namespace lfm::kernels::inline LFM_TARGET
