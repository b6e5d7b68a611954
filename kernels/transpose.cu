// transpose: transposed[l][column][row] = matrices[l][row][column], or of the layer that is as far from the last one.
//   matrices [layers][rows][columns]   ->   transposed [layers][columns][rows]
//   grid   (columns/32, rows/32, layers)    block 256 threads = 32 x 8
// 32x32 tiles through shared memory, its rows padded to 33: 128 bytes side by side are read and written, without bank
// conflicts.
#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/transpose.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kTile = 32;
constexpr int kDown = kThreads / kTile;
constexpr int kOwn = kTile / kDown;  // values of a thread

__global__ void __launch_bounds__(kThreads)
    transpose_kernel(float* __restrict__ transposed, const float* __restrict__ matrices, int layers, int rows,
                     int columns, bool reversed) {
  SHARED_ARRAY(float, tile, kTile, kTile + 1);
  const int across = thread_index() % kTile, down = thread_index() / kTile;
  const int first_column = block_index() * kTile, first_row = block_row() * kTile;
  const std::int64_t layer = block_layer(), to_layer = reversed ? layers - 1 - layer : layer;
  const int own_column = first_column + across < columns ? first_column + across : columns - 1;
  const float* from = matrices + layer * rows * columns + own_column;
  float* to = transposed + to_layer * rows * columns + first_row + across;
  float own[kOwn];
  UNROLL
  for (int i = 0; i < kOwn; ++i) {  // beyond the end the last row, which is not stored: all are asked for together
    const int row = first_row + down + i * kDown;
    own[i] = from[std::int64_t{row < rows ? row : rows - 1} * columns];
  }
  UNROLL
  for (int i = 0; i < kOwn; ++i) tile[down + i * kDown][across] = own[i];
  sync_block();
  UNROLL
  for (int i = 0; i < kOwn; ++i) {
    const int column = first_column + down + i * kDown;
    if (column < columns && first_row + across < rows) {
      to[std::int64_t{column} * rows] = tile[across][down + i * kDown];
    }
  }
}

}  // namespace

void transpose(float* transposed, const float* matrices, int layers, int rows, int columns, bool reversed,
               Stream stream) {
  require(layers > 0 && rows > 0 && columns > 0, "transpose: the matrices are empty");
  require(layers <= kMaxGridY && rows <= kMaxGridY * kTile, "transpose: too many matrices or rows for one launch");
  launch({.kernel = "transpose",
          .blocks = {blocks_for(columns, kTile), blocks_for(rows, kTile), static_cast<unsigned>(layers)},
          .threads = kThreads},
         stream, transpose_kernel, transposed, matrices, layers, rows, columns, reversed);
}

}  // namespace lfm::kernels::inline LFM_TARGET
