// projection: maps[o][p] = sum over c of x[p][c] w[c][o], a 1x1 convolution without bias.
//   input [n][area][ic]   weight [ic][64]   ->   maps [n][64][area]
// GEMM (implicit_gemm.cuh) with one tap: rows = n*area positions, columns = 64, depth = ic.
//   grid   (rows/128)    block 256 threads, 8 positions x 4 channels each
// The maps are stored channel-major, as the pooling reads them: four consecutive positions per thread and channel, 128
// bits where area allows it.
#include "kernels/device.cuh"
#include "kernels/implicit_gemm.cuh"
#include "kernels/launch.h"
#include "kernels/projection.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kNaiveThreads = 256;
constexpr int kColumns = kProjectionChannels;

__global__ void __launch_bounds__(kNaiveThreads)
    projection_naive_kernel(float* __restrict__ maps, const float* __restrict__ input, const float* __restrict__ weight,
                            int n, int area, int ic) {
  const std::int64_t i = wide_item_index(kNaiveThreads);
  if (i >= static_cast<std::int64_t>(n) * kColumns * area) return;
  const std::int64_t p = i % area, image = i / area / kColumns;
  const int o = static_cast<int>(i / area % kColumns);
  float sum = 0.0f;
  for (int c = 0; c < ic; ++c) sum += input[(image * area + p) * ic + c] * weight[c * kColumns + o];
  maps[i] = sum;
}

__global__ void __launch_bounds__(GemmTile::kThreads, 2)
    projection_kernel(float* __restrict__ maps, const float* __restrict__ input, const float* __restrict__ weight,
                      int rows, int area, int ic) {
  const int first = block_index() * GemmTile::kRows;
  const int loaded = first + gemm_loaded_row() < rows ? first + gemm_loaded_row() : rows - 1;
  float acc[GemmTile::kThreadRows][kColumns / 16];
  implicit_gemm<kColumns>(acc, input + static_cast<std::int64_t>(loaded) * ic, weight, ic, ic, 0, kColumns);

  store_channels_first<kColumns>(maps, kColumns, area, rows, first, 0, acc);
}

std::int64_t rows_of(int n, int area) {
  require(n > 0 && area > 0, "projection: the batch is empty");
  const std::int64_t rows = static_cast<std::int64_t>(n) * area;
  require(rows <= INT32_MAX - GemmTile::kRows, "projection: the batch is too large for one launch");
  return rows;
}

}  // namespace

void projection(float* maps, const float* input, const float* weight, int n, int area, int ic, Stream stream) {
  require(ic % GemmTile::kDepth == 0, "projection: ic must be a multiple of 8");
  const std::int64_t rows = rows_of(n, area);
  launch({.kernel = "projection", .blocks = {blocks_for(rows, GemmTile::kRows)}, .threads = GemmTile::kThreads}, stream,
         projection_kernel, maps, input, weight, static_cast<int>(rows), area, ic);
}

void projection_naive(float* maps, const float* input, const float* weight, int n, int area, int ic, Stream stream) {
  const std::int64_t rows = rows_of(n, area);
  launch({.kernel = "projection_naive",
          .blocks = {blocks_for(rows * kColumns, kNaiveThreads)},
          .threads = kNaiveThreads,
          .synchronises = false},
         stream, projection_naive_kernel, maps, input, weight, n, area, ic);
}

}  // namespace lfm::kernels::inline LFM_TARGET
