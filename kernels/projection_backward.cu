// projection_backward: the gradients of maps[p][o] = sum over c of x[p][c] w[c][o], positions p of all images.
//   grad_x[p][c] = sum over o of g[p][o] w[c][o]      grad_w[c][o] = sum over p of x[p][c] g[p][o]
//   grad_maps g [positions][64]: channels innermost, unlike the maps themselves, so that both are plain GEMMs.
// grad_x  implicit_gemm.cuh with one tap: rows = positions, columns = ic, depth = 64     grid (positions/128, ic/128)
// grad_w  position_gemm.cuh: rows = ic, columns = 64, a slice of positions per block     grid (ic/128, slices)
#include "kernels/device.cuh"
#include "kernels/implicit_gemm.cuh"
#include "kernels/launch.h"
#include "kernels/partial_sums.h"
#include "kernels/position_gemm.cuh"
#include "kernels/projection_backward.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kInputColumns = 128;  // of grad_x
constexpr int kColumns = kProjectionChannels;

// depth is kColumns; known to the compiler, it would unroll the main loop into more registers than there are.
__global__ void __launch_bounds__(GemmTile::kThreads, 2)
    backward_input_kernel(float* __restrict__ grad_input, const float* __restrict__ grad_maps,
                          const float* __restrict__ transposed, int positions, int ic, int depth) {
  const int first_row = block_index() * GemmTile::kRows;
  const int first_column = block_row() * kInputColumns;
  const int loaded = first_row + gemm_loaded_row() < positions ? first_row + gemm_loaded_row() : positions - 1;
  float acc[GemmTile::kThreadRows][kInputColumns / 16];
  implicit_gemm<kInputColumns>(acc, grad_maps + static_cast<std::int64_t>(loaded) * depth, transposed + first_column,
                               depth, depth, 0, ic);
  store_rows<kInputColumns>(grad_input + static_cast<std::int64_t>(first_row) * ic + first_column, ic,
                            positions - first_row, acc);
}

__global__ void __launch_bounds__(GemmTile::kThreads, 2)
    backward_weight_kernel(float* __restrict__ partials, const float* __restrict__ input,
                           const float* __restrict__ grad_maps, int all, int slice, int ic) {
  const int row = block_index() * GemmTile::kRows;
  const int first = block_row() * slice;
  const int positions = first >= all ? 0 : all - first < slice ? all - first : slice;
  const FlatCursor a(input, first + slab_position<GemmTile::kRows>(), row + slab_column<GemmTile::kRows>(), ic);
  const FlatCursor b(grad_maps, first + slab_position<kColumns>(), slab_column<kColumns>(), kColumns);
  float acc[GemmTile::kThreadRows][kColumns / 16];
  position_gemm<kColumns>(acc, a, b, positions);
  store_rows<kColumns>(partials + (std::int64_t{block_row()} * ic + row) * kColumns, kColumns, GemmTile::kRows, acc);
}

void check(int positions, int ic) {
  require(positions > 0 && positions <= INT32_MAX - GemmTile::kRows,
          "projection_backward: the batch is empty or too large");
  require(ic > 0 && ic % 128 == 0, "projection_backward: ic must be a multiple of 128");
}

}  // namespace

void projection_backward_input(float* grad_input, const float* grad_maps, const float* transposed, int positions,
                               int ic, Stream stream) {
  check(positions, ic);
  launch({.kernel = "projection_backward_input",
          .blocks = {blocks_for(positions, GemmTile::kRows), static_cast<unsigned>(ic / kInputColumns)},
          .threads = GemmTile::kThreads},
         stream, backward_input_kernel, grad_input, grad_maps, transposed, positions, ic, kColumns);
}

std::size_t projection_backward_weight_scratch(int positions, int ic) {
  return static_cast<std::size_t>(position_slices(positions, ic / GemmTile::kRows)) * ic * kColumns;
}

void projection_backward_weight(float* grad_weight, float* scratch, const float* input, const float* grad_maps,
                                int positions, int ic, bool accumulate, Stream stream) {
  check(positions, ic);
  const int slices = position_slices(positions, ic / GemmTile::kRows);
  launch({.kernel = "projection_backward_weight",
          .blocks = {static_cast<unsigned>(ic / GemmTile::kRows), static_cast<unsigned>(slices)},
          .threads = GemmTile::kThreads},
         stream, backward_weight_kernel, scratch, input, grad_maps, positions,
         static_cast<int>(blocks_for(positions, slices)), ic);
  sum_partials(grad_weight, scratch, slices, ic * kColumns, accumulate, stream);
}

}  // namespace lfm::kernels::inline LFM_TARGET
