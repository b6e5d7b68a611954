// spread: spread[y][x] = values[y/2][x/2] where y and x are even, else 0.
//   values [n][oh][ow][c]   ->   spread [n][h][w][c]
// One thread a position and four channels, 256 a block; consecutive threads take consecutive channels.
#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/spread.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) spread_kernel(float* __restrict__ spread, const float* __restrict__ values,
                                                          unsigned h, unsigned w, unsigned quads, unsigned items) {
  const auto i = static_cast<unsigned>(item_index(kThreads));
  if (i >= items) return;
  const unsigned quad = i % quads, position = i / quads, x = position % w, row = position / w, y = row % h;
  const std::int64_t from_row = std::int64_t{row / h} * ((h + 1) / 2) + y / 2;
  const float4 zeros{};
  const bool has_value = (x | y) % 2 == 0;
  const float4 four = has_value ? load4(values + ((from_row * ((w + 1) / 2) + x / 2) * quads + quad) * 4) : zeros;
  store4(spread + std::int64_t{i} * 4, four);
}

}  // namespace

void spread(float* spread, const float* values, int n, int h, int w, int c, Stream stream) {
  require(n > 0 && h > 0 && w > 0, "spread: the batch is empty");
  require(c > 0 && c % 4 == 0, "spread: channels must be a multiple of 4");
  const std::int64_t items = static_cast<std::int64_t>(n) * h * w * (c / 4);
  require(items <= UINT32_MAX - kThreads, "spread: the batch is too large for one launch");
  launch({.kernel = "spread", .blocks = {blocks_for(items, kThreads)}, .threads = kThreads, .synchronises = false},
         stream, spread_kernel, spread, values, static_cast<unsigned>(h), static_cast<unsigned>(w),
         static_cast<unsigned>(c / 4), static_cast<unsigned>(items));
}

}  // namespace lfm::kernels::inline LFM_TARGET
