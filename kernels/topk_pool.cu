// topk_pool: the k largest values of each row, descending; equal values in order of position.
//   maps [rows][area]   ->   values [rows][k], positions [rows][k]
//   grid   (rows/4)    block 128 threads = 4 warps; one warp takes one row (topk_list.cuh), and warps never meet
#include "kernels/launch.h"
#include "kernels/topk_list.cuh"
#include "kernels/topk_pool.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kWarpsPerBlock = 4;

template <int kSlots>
__global__ void __launch_bounds__(kWarpsPerBlock* kWarp)
    topk_pool_kernel(float* __restrict__ values, std::int32_t* __restrict__ positions, const float* __restrict__ maps,
                     int rows, int area, int k) {
  const int row = block_index() * kWarpsPerBlock + warp_index();
  if (row >= rows) return;  // the whole warp
  const float* map = maps + static_cast<std::int64_t>(row) * area;
  SortedList<kSlots> best;
  best.select(map, area, k);
  UNROLL
  for (int s = 0; s < kSlots; ++s) {
    const int rank = s * kWarp + lane_index();
    if (rank >= k) break;
    values[static_cast<std::int64_t>(row) * k + rank] = value_of(best.key[s]);
    if (positions) positions[static_cast<std::int64_t>(row) * k + rank] = best.position[s];
  }
}

}  // namespace

void topk_pool(float* values, std::int32_t* positions, const float* maps, int rows, int area, int k, Stream stream) {
  require(rows > 0 && k > 0 && k <= area, "topk_pool: needs 1 <= k <= positions of a map");
  require(k <= kMaxListK, "topk_pool: k is larger than 128");
  const auto kernel = k <= kWarp ? topk_pool_kernel<1> : k <= 2 * kWarp ? topk_pool_kernel<2> : topk_pool_kernel<4>;
  launch({.kernel = "topk_pool", .blocks = {blocks_for(rows, kWarpsPerBlock)}, .threads = kWarpsPerBlock * kWarp},
         stream, kernel, values, positions, maps, rows, area, k);
}

}  // namespace lfm::kernels::inline LFM_TARGET
