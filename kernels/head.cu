// head: logit = bias + sum over i of feature[i] weight[i], of a softmax with the differences of its weights and biases.
//   features [n][count]   weight [outputs][count]   bias [outputs]   ->   logits [n]
//   grid   (n/4)    block 128 threads = 4 warps; one warp takes one image: each lane sums every 32nd product, then a
//                   butterfly.
#include "kernels/device.cuh"
#include "kernels/head.h"
#include "kernels/launch.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kWarpsPerBlock = 4;

template <bool kSoftmax>
__global__ void __launch_bounds__(kWarpsPerBlock* kWarp)
    head_kernel(float* __restrict__ logits, const float* __restrict__ features, const float* __restrict__ weight,
                const float* __restrict__ bias, int n, int count) {
  const int image = block_index() * kWarpsPerBlock + warp_index();
  if (image >= n) return;  // the whole warp
  float sum = 0.0f;
  for (int i = lane_index(); i < count; i += kWarp)
    sum +=
        features[static_cast<std::int64_t>(image) * count + i] * (kSoftmax ? weight[count + i] - weight[i] : weight[i]);
  sum = warp_sum(sum);
  if (lane_index() == 0) logits[image] = sum + (kSoftmax ? bias[1] - bias[0] : bias[0]);
}

}  // namespace

void head(float* logits, const float* features, const float* weight, const float* bias, int n, int count, int outputs,
          Stream stream) {
  require(n > 0 && count > 0, "head: the batch is empty");
  require(outputs == 1 || outputs == 2, "head: there are one or two outputs");
  launch({.kernel = "head", .blocks = {blocks_for(n, kWarpsPerBlock)}, .threads = kWarpsPerBlock * kWarp}, stream,
         outputs == 2 ? head_kernel<true> : head_kernel<false>, logits, features, weight, bias, n, count);
}

}  // namespace lfm::kernels::inline LFM_TARGET
