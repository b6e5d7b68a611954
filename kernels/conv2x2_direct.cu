// conv2x2_direct: y[y][x][o] = bias[o] + sum over ky, kx, c of x[y+ky][x+kx][c] w[2ky+kx][c][o], then ReLU, after 2x2/2
// max-pooling.
//   input [n][h][w][ic]   weight [4][ic][oc]   bias [oc]   ->
//   output [n][h-1][w-1][oc] or, pooled, [n][(h-1)/2][(w-1)/2][oc]
// Implicit GEMM (implicit_gemm.cuh): rows = positions of the convolution's output, columns = oc, depth = 4ic.
//   grid   (rows/128, oc/128)    block 256 threads, 8x8 outputs each
// Pooled, four consecutive rows are one window: a thread takes the maximum of its own accumulators, and the positions
// of an odd last row or column, which no window reads, are never computed. Rows beyond the end repeat the last one and
// are not stored. Channels are contiguous: eight lanes store 128 bytes of an output side by side.
#include <limits>

#include "kernels/conv2x2_direct.h"
#include "kernels/device.cuh"
#include "kernels/implicit_gemm.cuh"
#include "kernels/launch.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kNaiveThreads = 256;
constexpr int kColumns = 128;

struct Position {
  int image;
  int y;
  int x;
};

// Row of the GEMM -> position of the convolution's output. size: of the stored output.
template <bool kPooled>
__device__ __forceinline__ Position position_of(int row, int out_h, int out_w) {
  const int at = kPooled ? row / 4 : row;
  const Position p{at / (out_h * out_w), at / out_w % out_h, at % out_w};
  if (!kPooled) return p;
  return {p.image, 2 * p.y + (row >> 1 & 1), 2 * p.x + (row & 1)};
}

template <Epilogue kEpilogue>
__global__ void __launch_bounds__(kNaiveThreads)
    conv2x2_naive_kernel(float* __restrict__ output, const float* __restrict__ input, const float* __restrict__ weight,
                         const float* __restrict__ bias, int n, int h, int w, int ic, int oc) {
  constexpr bool kPooled = kEpilogue == Epilogue::bias_relu_pool;
  const int out_h = kPooled ? (h - 1) / 2 : h - 1, out_w = kPooled ? (w - 1) / 2 : w - 1;
  const std::int64_t i = wide_item_index(kNaiveThreads);
  if (i >= static_cast<std::int64_t>(n) * out_h * out_w * oc) return;
  const int o = static_cast<int>(i % oc), at = static_cast<int>(i / oc);
  float best = 0.0f;
  for (int window = 0; window < (kPooled ? 4 : 1); ++window) {
    const Position p = position_of<kPooled>(kPooled ? at * 4 + window : at, out_h, out_w);
    float sum = 0.0f;
    for (int tap = 0; tap < 4; ++tap) {
      const float* x = input + ((static_cast<std::int64_t>(p.image) * h + p.y + tap / 2) * w + p.x + tap % 2) * ic;
      for (int c = 0; c < ic; ++c) sum += x[c] * weight[(tap * ic + c) * oc + o];
    }
    best = window == 0 ? sum : maximum(best, sum);
  }
  const float y = best + bias[o];
  output[i] = kEpilogue == Epilogue::bias ? y : relu(y);
}

__device__ __forceinline__ float at_least(float least, float v) { return v < least ? least : v; }  // keeps NaN

// least: 0 for ReLU, minus infinity without; told at run time, since for sm_100 and sm_120 nvcc spills registers of a
// kernel that knows.
template <Epilogue kEpilogue>
__global__ void __launch_bounds__(GemmTile::kThreads, 2)
    conv2x2_direct_kernel(float* __restrict__ output, const float* __restrict__ input, const float* __restrict__ weight,
                          const float* __restrict__ bias, int rows, int h, int w, int ic, int oc, float least) {
  constexpr bool kPooled = kEpilogue == Epilogue::bias_relu_pool;
  const int out_h = kPooled ? (h - 1) / 2 : h - 1, out_w = kPooled ? (w - 1) / 2 : w - 1;
  const int first_row = block_index() * GemmTile::kRows;
  const int first_column = block_row() * kColumns;

  const int loaded = first_row + gemm_loaded_row();
  const Position p = position_of<kPooled>(loaded < rows ? loaded : rows - 1, out_h, out_w);
  const float* own_input = input + ((static_cast<std::int64_t>(p.image) * h + p.y) * w + p.x) * ic;
  float acc[GemmTile::kThreadRows][kColumns / 16];
  implicit_gemm<kColumns>(acc, own_input, weight + first_column, 4 * ic, 2 * ic, w * ic, oc);

  const GemmPosition<kColumns> own;
  const int row = first_row + own.row, column = first_column + own.column;
  float* own_output = output + static_cast<std::int64_t>(kPooled ? row / 4 : row) * oc + column;
  UNROLL
  for (int cg = 0; cg < kColumns / 64; ++cg) {
    const float4 b = load4(bias + column + 32 * cg);
    UNROLL
    for (int rg = 0; rg < GemmTile::kThreadRows / 4; ++rg) {
      float y[4][4];
      UNROLL
      for (int i = 0; i < 4; ++i) {
        UNROLL
        for (int j = 0; j < 4; ++j) y[i][j] = acc[4 * rg + i][4 * cg + j];
      }
      if constexpr (kPooled) {
        UNROLL
        for (int j = 0; j < 4; ++j) y[0][j] = maximum(maximum(y[0][j], y[1][j]), maximum(y[2][j], y[3][j]));
      }
      UNROLL
      for (int i = 0; i < (kPooled ? 1 : 4); ++i) {
        if (row + 16 * rg + i >= rows) break;
        store4(own_output + (kPooled ? 4 * rg : 16 * rg + i) * oc + 32 * cg,
               {at_least(least, y[i][0] + b.x), at_least(least, y[i][1] + b.y), at_least(least, y[i][2] + b.z),
                at_least(least, y[i][3] + b.w)});
      }
    }
  }
}

// Rows of the GEMM; checks the shape.
std::int64_t rows_of(const Conv2x2& conv, Epilogue epilogue) {
  const int divisor = epilogue == Epilogue::bias_relu_pool ? 2 : 1;
  require(conv.n > 0 && (conv.h - 1) / divisor > 0 && (conv.w - 1) / divisor > 0,
          "conv2x2_direct: the output is empty");
  const std::int64_t outputs = static_cast<std::int64_t>(conv.n) * ((conv.h - 1) / divisor) * ((conv.w - 1) / divisor);
  const std::int64_t rows = outputs * divisor * divisor;
  require(rows <= INT32_MAX - GemmTile::kRows, "conv2x2_direct: the batch is too large for one launch");
  return rows;
}

template <Epilogue kEpilogue>
void launch_naive(const Conv2x2& c, std::int64_t rows, Stream stream) {
  const std::int64_t outputs = rows / (kEpilogue == Epilogue::bias_relu_pool ? 4 : 1) * c.oc;
  launch({.kernel = "conv2x2_naive",
          .blocks = {blocks_for(outputs, kNaiveThreads)},
          .threads = kNaiveThreads,
          .synchronises = false},
         stream, conv2x2_naive_kernel<kEpilogue>, c.output, c.input, c.weight, c.bias, c.n, c.h, c.w, c.ic, c.oc);
}

template <Epilogue kEpilogue>
void launch_tuned(const Conv2x2& c, std::int64_t rows, Stream stream) {
  launch({.kernel = "conv2x2_direct",
          .blocks = {blocks_for(rows, GemmTile::kRows), static_cast<unsigned>(c.oc / kColumns)},
          .threads = GemmTile::kThreads},
         stream, conv2x2_direct_kernel<kEpilogue>, c.output, c.input, c.weight, c.bias, static_cast<int>(rows), c.h,
         c.w, c.ic, c.oc, kEpilogue == Epilogue::bias ? -std::numeric_limits<float>::infinity() : 0.0f);
}

}  // namespace

void conv2x2_naive(const Conv2x2& conv, Epilogue epilogue, Stream stream) {
  const std::int64_t rows = rows_of(conv, epilogue);
  switch (epilogue) {
    case Epilogue::bias: return launch_naive<Epilogue::bias>(conv, rows, stream);
    case Epilogue::bias_relu: return launch_naive<Epilogue::bias_relu>(conv, rows, stream);
    case Epilogue::bias_relu_pool: return launch_naive<Epilogue::bias_relu_pool>(conv, rows, stream);
  }
}

void conv2x2_direct(const Conv2x2& conv, Epilogue epilogue, Stream stream) {
  require(conv.ic % GemmTile::kDepth == 0 && conv.oc % kColumns == 0,
          "conv2x2_direct: ic must be a multiple of 8, oc of 128");
  const std::int64_t rows = rows_of(conv, epilogue);
  switch (epilogue) {
    case Epilogue::bias: return launch_tuned<Epilogue::bias>(conv, rows, stream);
    case Epilogue::bias_relu: return launch_tuned<Epilogue::bias_relu>(conv, rows, stream);
    case Epilogue::bias_relu_pool: return launch_tuned<Epilogue::bias_relu_pool>(conv, rows, stream);
  }
}

}  // namespace lfm::kernels::inline LFM_TARGET
