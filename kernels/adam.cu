// adam: g' = g + decay p;  m = b1 m + (1-b1) g';  v = b2 v + (1-b2) g'^2;
// p -= lr (m/c1) / (sqrt(v/c2) + eps), c = 1 - b^step.
//   parameters, gradients, m, v [count]   ->   parameters, m, v; norm_partials [blocks]
//   grid   (count/1024)    block 256 threads, four values each with 128-bit accesses; every value is read and written
//                          once.
// The gradient's squared norm falls out on the way: a butterfly in each warp, then the warps in order, in double.
#include <cmath>

#include "kernels/adam.h"
#include "kernels/device.cuh"
#include "kernels/launch.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kValues = 4 * kThreads;  // of a block

__device__ __forceinline__ void update(float& p, float& m, float& v, float gradient, const AdamStep& s) {
  const float g = gradient + s.weight_decay * p;
  m = s.beta1 * m + (1.0f - s.beta1) * g;
  v = s.beta2 * v + (1.0f - s.beta2) * g * g;
  p -= s.learning_rate * (m / s.correction1) / (std::sqrt(v / s.correction2) + s.eps);
}

__global__ void __launch_bounds__(kThreads)
    adam_kernel(float* __restrict__ parameters, float* __restrict__ m, float* __restrict__ v,
                double* __restrict__ norm_partials, const float* __restrict__ gradients, AdamStep step,
                std::int64_t count) {
  SHARED_ARRAY(double, squares, kWarps);
  const std::int64_t i = std::int64_t{block_index()} * kValues + thread_index() * 4;
  double square = 0.0;
  if (i < count) {
    float4 p4 = load4(parameters + i), m4 = load4(m + i), v4 = load4(v + i);
    const float4 g4 = load4(gradients + i);
    update(p4.x, m4.x, v4.x, g4.x, step);
    update(p4.y, m4.y, v4.y, g4.y, step);
    update(p4.z, m4.z, v4.z, g4.z, step);
    update(p4.w, m4.w, v4.w, g4.w, step);
    store4(parameters + i, p4);
    store4(m + i, m4);
    store4(v + i, v4);
    square = static_cast<double>(g4.x) * g4.x + static_cast<double>(g4.y) * g4.y + static_cast<double>(g4.z) * g4.z +
             static_cast<double>(g4.w) * g4.w;
  }
  square = warp_sum(square);
  if (lane_index() == 0) squares[warp_index()] = square;
  sync_block();
  if (thread_index() != 0) return;
  double total = 0.0;
  for (int warp = 0; warp < kWarps; ++warp) total += squares[warp];
  norm_partials[block_index()] = total;
}

}  // namespace

int adam_norm_partials(std::size_t count) { return static_cast<int>(blocks_for(count, kValues)); }

void adam(float* parameters, float* m, float* v, double* norm_partials, const float* gradients, const AdamStep& step,
          std::size_t count, Stream stream) {
  require(count > 0 && count % 4 == 0, "adam: the parameters must be a multiple of 4");
  launch({.kernel = "adam", .blocks = {blocks_for(count, kValues)}, .threads = kThreads}, stream, adam_kernel,
         parameters, m, v, norm_partials, gradients, step, static_cast<std::int64_t>(count));
}

}  // namespace lfm::kernels::inline LFM_TARGET
