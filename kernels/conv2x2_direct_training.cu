// conv2x2_backward: the gradients of y[y][x][o] = bias[o] + sum over ky, kx, c of x[y+ky][x+kx][c] w[2ky+kx][c][o].
//   grad_x[y][x][c]     = sum over ky, kx, o of g[y-ky][x-kx][o] w[2ky+kx][c][o]
//   grad_w[2ky+kx][c][o] = sum over n, y, x of x[y+ky][x+kx][c] g[y][x][o]
// g comes with a border of zeros, [n][h+1][w+1][oc], which makes the first a convolution like the forward one, without
// a single test of bounds: grad_x[y][x][c] = sum of padded[y+ky][x+kx][o] w[3-(2ky+kx)][c][o].
//
// grad_x  implicit GEMM (implicit_gemm.cuh): rows = positions of x, columns = ic, depth = 4oc
//   grid   (rows/128, ic/128 or ic/64)    block 256 threads
// grad_w  GEMM over positions (position_gemm.cuh): rows = (tap, c), columns = oc; a slice of positions per block
//   grid   (4ic/128, oc/128, slices)    block 256 threads. The two taps of a kernel row are 2ic contiguous floats of x,
//                                       so 128 rows are
//          always contiguous. Slices are added in order by sum_partials().
#include "kernels/conv2x2_direct_training.h"
#include "kernels/device.cuh"
#include "kernels/implicit_gemm.cuh"
#include "kernels/launch.h"
#include "kernels/partial_sums.h"
#include "kernels/position_gemm.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kColumns = 128;  // of grad_w

__global__ void __launch_bounds__(kThreads)
    backward_input_naive_kernel(float* __restrict__ grad_input, const float* __restrict__ grad_output,
                                const float* __restrict__ weight, Conv2x2Shape s) {
  const std::int64_t i = wide_item_index(kThreads);
  if (i >= static_cast<std::int64_t>(s.n) * s.h * s.w * s.ic) return;
  const int c = static_cast<int>(i % s.ic), x = static_cast<int>(i / s.ic % s.w),
            y = static_cast<int>(i / s.ic / s.w % s.h);
  const std::int64_t image = i / s.ic / s.w / s.h;
  float sum = 0.0f;
  for (int tap = 0; tap < 4; ++tap) {
    const int gy = y + 1 - tap / 2, gx = x + 1 - tap % 2;  // in the bordered array
    const float* g = grad_output + ((image * (s.h + 1) + gy) * (s.w + 1) + gx) * s.oc;
    for (int o = 0; o < s.oc; ++o) sum += g[o] * weight[(tap * s.ic + c) * s.oc + o];
  }
  grad_input[i] = sum;
}

template <int kInputColumns>
__global__ void __launch_bounds__(GemmTile::kThreads, 2)
    backward_input_kernel(float* __restrict__ grad_input, const float* __restrict__ grad_output,
                          const float* __restrict__ transposed, int rows, int h, int w, int ic, int oc) {
  const int first_row = block_index() * GemmTile::kRows;
  const int first_column = block_row() * kInputColumns;
  const int loaded = first_row + gemm_loaded_row() < rows ? first_row + gemm_loaded_row() : rows - 1;
  const int x = loaded % w, y = loaded / w % h, image = loaded / w / h;
  const float* own = grad_output + ((static_cast<std::int64_t>(image) * (h + 1) + y) * (w + 1) + x) * oc;
  float acc[GemmTile::kThreadRows][kInputColumns / 16];
  implicit_gemm<kInputColumns>(acc, own, transposed + first_column, 4 * oc, 2 * oc, (w + 1) * oc, ic);
  store_rows<kInputColumns>(grad_input + static_cast<std::int64_t>(first_row) * ic + first_column, ic, rows - first_row,
                            acc);
}

__global__ void __launch_bounds__(kThreads)
    backward_weight_naive_kernel(float* __restrict__ grad_weight, const float* __restrict__ input,
                                 const float* __restrict__ grad_output, Conv2x2Shape s, bool accumulate) {
  const int i = item_index(kThreads);
  if (i >= 4 * s.ic * s.oc) return;
  const int o = i % s.oc, c = i / s.oc % s.ic, tap = i / s.oc / s.ic;
  float sum = 0.0f;
  for (std::int64_t image = 0; image < s.n; ++image) {
    for (int y = 0; y < s.h - 1; ++y) {
      for (int x = 0; x < s.w - 1; ++x) {
        sum += input[((image * s.h + y + tap / 2) * s.w + x + tap % 2) * s.ic + c] *
               grad_output[((image * (s.h + 1) + y + 1) * (s.w + 1) + x + 1) * s.oc + o];
      }
    }
  }
  grad_weight[i] = accumulate ? grad_weight[i] + sum : sum;
}

__global__ void __launch_bounds__(GemmTile::kThreads, 2)
    backward_weight_kernel(float* __restrict__ partials, const float* __restrict__ input,
                           const float* __restrict__ grad_output, Conv2x2Shape s, int slice) {
  const int row = block_index() * GemmTile::kRows, column = block_row() * kColumns;
  const int first = block_layer() * slice, all = s.n * (s.h - 1) * (s.w - 1);
  const int positions = first >= all ? 0 : all - first < slice ? all - first : slice;
  const int tap_row = row / (2 * s.ic);

  const PositionCursor a(
      input + static_cast<std::int64_t>(tap_row) * s.w * s.ic + row % (2 * s.ic) + slab_column<GemmTile::kRows>(),
      first + slab_position<GemmTile::kRows>(), s.h - 1, s.w - 1, s.h, s.w, s.ic);
  const PositionCursor b(grad_output + static_cast<std::int64_t>(s.w + 2) * s.oc + column + slab_column<kColumns>(),
                         first + slab_position<kColumns>(), s.h - 1, s.w - 1, s.h + 1, s.w + 1, s.oc);
  float acc[GemmTile::kThreadRows][kColumns / 16];
  position_gemm<kColumns>(acc, a, b, positions);
  store_rows<kColumns>(partials + (std::int64_t{block_layer()} * 4 * s.ic + row) * s.oc + column, s.oc, GemmTile::kRows,
                       acc);
}

void check(const Conv2x2Shape& s) {
  require(s.n > 0 && s.h > 1 && s.w > 1 && s.ic > 0 && s.oc > 0, "conv2x2_backward: the output is empty");
  const std::int64_t positions = static_cast<std::int64_t>(s.n) * (s.h + 1) * (s.w + 1);
  require(positions <= INT32_MAX - GemmTile::kRows, "conv2x2_backward: the batch is too large for one launch");
}

int weight_slices(const Conv2x2Shape& s) {
  return position_slices(static_cast<std::int64_t>(s.n) * (s.h - 1) * (s.w - 1),
                         4 * s.ic / GemmTile::kRows * (s.oc / kColumns));
}

}  // namespace

void conv2x2_backward_input(float* grad_input, const float* grad_output, const float* transposed, const Conv2x2Shape& s,
                            Stream stream) {
  check(s);
  require(s.oc % GemmTile::kDepth == 0 && s.ic % 64 == 0,
          "conv2x2_backward_input: oc must be a multiple of 8, ic of 64");
  const int rows = s.n * s.h * s.w, columns = s.ic % 128 == 0 ? 128 : 64;
  launch({.kernel = "conv2x2_backward_input",
          .blocks = {blocks_for(rows, GemmTile::kRows), static_cast<unsigned>(s.ic / columns)},
          .threads = GemmTile::kThreads},
         stream, columns == 128 ? backward_input_kernel<128> : backward_input_kernel<64>, grad_input, grad_output,
         transposed, rows, s.h, s.w, s.ic, s.oc);
}

void conv2x2_backward_input_naive(float* grad_input, const float* grad_output, const float* weight,
                                  const Conv2x2Shape& s, Stream stream) {
  check(s);
  launch({.kernel = "conv2x2_backward_input_naive",
          .blocks = {blocks_for(static_cast<std::int64_t>(s.n) * s.h * s.w * s.ic, kThreads)},
          .threads = kThreads,
          .synchronises = false},
         stream, backward_input_naive_kernel, grad_input, grad_output, weight, s);
}

std::size_t conv2x2_backward_weight_scratch(const Conv2x2Shape& s) {
  return static_cast<std::size_t>(weight_slices(s)) * 4 * s.ic * s.oc;
}

void conv2x2_backward_weight(float* grad_weight, float* scratch, const float* input, const float* grad_output,
                             const Conv2x2Shape& s, bool accumulate, Stream stream) {
  check(s);
  require(s.ic % 64 == 0 && s.oc % kColumns == 0, "conv2x2_backward_weight: ic must be a multiple of 64, oc of 128");
  const int positions = s.n * (s.h - 1) * (s.w - 1), slices = weight_slices(s);
  launch({.kernel = "conv2x2_backward_weight",
          .blocks = {static_cast<unsigned>(4 * s.ic / GemmTile::kRows), static_cast<unsigned>(s.oc / kColumns),
                     static_cast<unsigned>(slices)},
          .threads = GemmTile::kThreads},
         stream, backward_weight_kernel, scratch, input, grad_output, s,
         static_cast<int>(blocks_for(positions, slices)));
  sum_partials(grad_weight, scratch, slices, 4 * s.ic * s.oc, accumulate, stream);
}

void conv2x2_backward_weight_naive(float* grad_weight, const float* input, const float* grad_output,
                                   const Conv2x2Shape& s, bool accumulate, Stream stream) {
  check(s);
  launch({.kernel = "conv2x2_backward_weight_naive",
          .blocks = {blocks_for(4 * s.ic * s.oc, kThreads)},
          .threads = kThreads,
          .synchronises = false},
         stream, backward_weight_naive_kernel, grad_weight, input, grad_output, s, accumulate);
}

}  // namespace lfm::kernels::inline LFM_TARGET
