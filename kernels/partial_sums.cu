// sum_partials: sum[i] = sum over s of partials[s][i], in order of s.
//   partials [slices][count]   ->   sum [count]
//   grid   (count/256)    block 256 threads; a thread owns one i, so that a warp reads 128 bytes of each slice side by
//                         side.
#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/partial_sums.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    sum_partials_kernel(float* __restrict__ sum, const float* __restrict__ partials, int slices, int count,
                        bool accumulate) {
  const int i = item_index(kThreads);
  if (i >= count) return;
  double total = accumulate ? sum[i] : 0.0f;
  for (int s = 0; s < slices; ++s) total += partials[static_cast<std::int64_t>(s) * count + i];
  sum[i] = static_cast<float>(total);
}

}  // namespace

void sum_partials(float* sum, const float* partials, int slices, int count, bool accumulate, Stream stream) {
  require(slices > 0 && count > 0, "sum_partials: there is nothing to add");
  launch(
      {.kernel = "sum_partials", .blocks = {blocks_for(count, kThreads)}, .threads = kThreads, .synchronises = false},
      stream, sum_partials_kernel, sum, partials, slices, count, accumulate);
}

}  // namespace lfm::kernels::inline LFM_TARGET
