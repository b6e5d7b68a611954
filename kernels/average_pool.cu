// average_pool: the mean of each row.
//   maps [rows][area]   ->   values [rows]
//   grid   (rows/4)    block 128 threads = 4 warps; one warp takes one row: each lane sums every 32nd value, then a
//                      butterfly.
#include "kernels/average_pool.h"
#include "kernels/device.cuh"
#include "kernels/launch.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kWarpsPerBlock = 4;

__global__ void __launch_bounds__(kWarpsPerBlock* kWarp)
    average_pool_kernel(float* __restrict__ values, const float* __restrict__ maps, int rows, int area) {
  const int row = block_index() * kWarpsPerBlock + warp_index();
  if (row >= rows) return;  // the whole warp
  float sum = 0.0f;
  for (int i = lane_index(); i < area; i += kWarp) sum += maps[static_cast<std::int64_t>(row) * area + i];
  sum = warp_sum(sum);
  if (lane_index() == 0) values[row] = sum / static_cast<float>(area);
}

}  // namespace

void average_pool(float* values, const float* maps, int rows, int area, Stream stream) {
  require(rows > 0 && area > 0, "average_pool: the batch is empty");
  launch({.kernel = "average_pool", .blocks = {blocks_for(rows, kWarpsPerBlock)}, .threads = kWarpsPerBlock * kWarp},
         stream, average_pool_kernel, values, maps, rows, area);
}

}  // namespace lfm::kernels::inline LFM_TARGET
