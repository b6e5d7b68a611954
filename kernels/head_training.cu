// bce_with_logits: loss = -y log(s) - (1-y) log(1-s) with s = 1/(1 + e^-z), rearranged so that no exponential
// overflows:
//   max(z, 0) - z y + log(1 + e^-|z|)      derivative s - y
//   one thread an image, 256 a block; an unlabelled image has neither.
// head_backward, of logit = bias + sum over f of x[f] w[f]:
//   grad_x[i][f] = g[i] w[f]     grad_w[f] = sum over i of g[i] x[i][f]     grad_bias = sum over i of g[i]
//   Of a softmax w = w_1 - w_0, whose gradients are grad_w and its negative; the biases' likewise.
//   grid   (count/256)    block 256 threads; a thread owns one f and goes through the images in order.
#include <cmath>

#include "kernels/device.cuh"
#include "kernels/head_training.h"
#include "kernels/launch.h"
#include "src/model/label.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    bce_with_logits_kernel(float* __restrict__ losses, float* __restrict__ grad_logits,
                           const float* __restrict__ logits, const std::uint8_t* __restrict__ labels, float weight,
                           int n) {
  const int i = item_index(kThreads);
  if (i >= n) return;
  if (labels[i] == kUnlabelled) {
    losses[i] = grad_logits[i] = 0.0f;
    return;
  }
  const float z = logits[i], y = labels[i] ? 1.0f : 0.0f;
  losses[i] = relu(z) - z * y + std::log1p(std::exp(-std::fabs(z)));
  grad_logits[i] = weight * (1.0f / (1.0f + std::exp(-z)) - y);
}

template <bool kSoftmax>
__global__ void __launch_bounds__(kThreads)
    head_backward_kernel(float* __restrict__ grad_features, float* __restrict__ grad_weight,
                         float* __restrict__ grad_bias, const float* __restrict__ features,
                         const float* __restrict__ weight, const float* __restrict__ grad_logits, int n, int count,
                         bool accumulate) {
  const int f = item_index(kThreads);
  if (f >= count) return;
  const float w = kSoftmax ? weight[count + f] - weight[f] : weight[f];
  float sum = 0.0f, sum_g = 0.0f;
  for (int i = 0; i < n; ++i) {
    const float g = grad_logits[i];
    sum += g * features[static_cast<std::int64_t>(i) * count + f];
    sum_g += g;
    grad_features[static_cast<std::int64_t>(i) * count + f] = g * w;
  }
  const auto store = [accumulate](float* grad, int outputs_apart, float value) {
    if (kSoftmax) grad[0] = accumulate ? grad[0] - value : -value;
    float& last = grad[kSoftmax ? outputs_apart : 0];
    last = accumulate ? last + value : value;
  };
  store(grad_weight + f, count, sum);
  if (f == 0) store(grad_bias, 1, sum_g);
}

}  // namespace

void bce_with_logits(float* losses, float* grad_logits, const float* logits, const std::uint8_t* labels, float weight,
                     int n, Stream stream) {
  require(n > 0, "bce_with_logits: the batch is empty");
  launch({.kernel = "bce_with_logits", .blocks = {blocks_for(n, kThreads)}, .threads = kThreads, .synchronises = false},
         stream, bce_with_logits_kernel, losses, grad_logits, logits, labels, weight, n);
}

void head_backward(float* grad_features, float* grad_weight, float* grad_bias, const float* features,
                   const float* weight, const float* grad_logits, int n, int count, int outputs, bool accumulate,
                   Stream stream) {
  require(n > 0 && count > 0, "head_backward: the batch is empty");
  require(outputs == 1 || outputs == 2, "head_backward: there are one or two outputs");
  launch(
      {.kernel = "head_backward", .blocks = {blocks_for(count, kThreads)}, .threads = kThreads, .synchronises = false},
      stream, outputs == 2 ? head_backward_kernel<true> : head_backward_kernel<false>, grad_features, grad_weight,
      grad_bias, features, weight, grad_logits, n, count, accumulate);
}

}  // namespace lfm::kernels::inline LFM_TARGET
