// sum_partials: sum[i] = sum over s of partials[s][i], in order of s.
//   partials [slices][count]   ->   sum [count]
//   grid   (count/256)    block 256 threads; a thread owns one i, so that a warp reads 128 bytes of each slice side by
//                         side. Where few values have many slices (the first convolution's weight), the sum waits for
//                         memory, so many slices are asked for at once; they are added in their order.
#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/partial_sums.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kSlicesAhead = 16;  // slices that are read before the first of them is added

__global__ void __launch_bounds__(kThreads)
    sum_partials_kernel(float* __restrict__ sum, const float* __restrict__ partials, int slices, int count,
                        bool accumulate) {
  const int i = item_index(kThreads);
  if (i >= count) return;
  double total = accumulate ? sum[i] : 0.0f;
  partials += i;
  int s = 0;
  for (; s + kSlicesAhead <= slices; s += kSlicesAhead, partials += static_cast<std::int64_t>(kSlicesAhead) * count) {
    float slice[kSlicesAhead];
    UNROLL
    for (int j = 0; j < kSlicesAhead; ++j) slice[j] = partials[static_cast<std::int64_t>(j) * count];
    UNROLL
    for (int j = 0; j < kSlicesAhead; ++j) total += slice[j];
  }
  for (; s < slices; ++s, partials += count) total += *partials;
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
