// The main loop that the convolutions share: C[m][o] = sum over k of A[m][k] B[k][o] for one tile of C, in FP32 on the
// FFMA units.
//   A is never materialised: row m is a position of the input [..][h][w][ic], k = (tap, channel), and a tap moves the
//   position. B [taps*ic][oc] is the packed weight.
//
//   block  256 threads = 8 warps as 4 (rows) x 2 (columns); it owns 128 rows x kColumns columns
//   warp   32 rows x kColumns/2 columns; its lanes stand 4 x 8
//   thread 8 rows x kColumns/16 columns, in groups of 4 x 4: rows 16 apart, columns 32 apart. The four rows of a group
//   are
//          consecutive, so that they can be one pooling window.
//   shared a slab of 8 values of k, double-buffered: while one is multiplied, the next is on its way in registers; one
//   barrier a slab.
//
// Global loads: a thread reads 4 channels of one row and 4 columns of one k: 128 bits each; the two threads of a row
// fill a sector. Shared memory: A is stored transposed, [k][row], rows padded to 132 so that a warp's 16 rows x 2
// channel groups fall into 32 banks; fragments are read 128 bits at a time, 4 distinct addresses of A (64 bytes) and 8
// of B (128 bytes) per warp: no conflicts. The sum over k is taken by one thread in order: the same bits in every run.
#pragma once

#include "kernels/device.cuh"

namespace lfm::kernels::inline LFM_TARGET {

struct GemmTile {
  static constexpr int kRows = 128;
  static constexpr int kDepth = 8;
  static constexpr int kThreads = 256;
  static constexpr int kThreadRows = 8;
  static constexpr int kWarpsAcross = 2;
};

/// Where a thread's accumulators lie in the tile.
template <int kColumns>
struct GemmPosition {
  static constexpr int kThreadColumns = kColumns / 16;
  int row;     ///< of acc[0]: acc[4*g + i] is row + 16*g + i
  int column;  ///< of acc[.][0]: acc[.][4*g + j] is column + 32*g + j
  __device__ __forceinline__ GemmPosition() {
    const int lane = lane_index(), warp = warp_index();
    row = warp / GemmTile::kWarpsAcross * 32 + lane / 8 * 4;
    column = warp % GemmTile::kWarpsAcross * (kColumns / 2) + lane % 8 * 4;
  }
};

/// acc += the product of one slab in shared memory: a [kDepth][kRows or more], b [kDepth][kColumns].
template <int kColumns, int kDepth = GemmTile::kDepth, typename TileA, typename TileB>
__device__ __forceinline__ void multiply_slab(float (&acc)[GemmTile::kThreadRows][kColumns / 16], TileA& a, TileB& b,
                                              const GemmPosition<kColumns>& own) {
  constexpr int kThreadColumns = kColumns / 16;
  UNROLL
  for (int k = 0; k < kDepth; ++k) {
    float row[GemmTile::kThreadRows], column[kThreadColumns];
    UNROLL
    for (int g = 0; g < GemmTile::kThreadRows / 4; ++g) {
      const float4 v = load4(&a[k][own.row + 16 * g]);
      row[4 * g] = v.x, row[4 * g + 1] = v.y, row[4 * g + 2] = v.z, row[4 * g + 3] = v.w;
    }
    UNROLL
    for (int g = 0; g < kThreadColumns / 4; ++g) {
      const float4 v = load4(&b[k][own.column + 32 * g]);
      column[4 * g] = v.x, column[4 * g + 1] = v.y, column[4 * g + 2] = v.z, column[4 * g + 3] = v.w;
    }
    UNROLL
    for (int i = 0; i < GemmTile::kThreadRows; ++i) {
      UNROLL
      for (int j = 0; j < kThreadColumns; ++j) acc[i][j] += row[i] * column[j];
    }
  }
}

/// Stores the first `rows` rows of the tile to c [.][columns], which points at the tile's first element.
template <int kColumns>
__device__ __forceinline__ void store_rows(float* c, int columns, int rows,
                                           const float (&acc)[GemmTile::kThreadRows][kColumns / 16]) {
  const GemmPosition<kColumns> own;
  float* own_c = c + static_cast<std::int64_t>(own.row) * columns + own.column;
  UNROLL
  for (int i = 0; i < GemmTile::kThreadRows; ++i) {
    const int row = i / 4 * 16 + i % 4;
    if (own.row + row >= rows) break;
    UNROLL
    for (int g = 0; g < kColumns / 64; ++g) {
      store4(own_c + row * columns + 32 * g, {acc[i][4 * g], acc[i][4 * g + 1], acc[i][4 * g + 2], acc[i][4 * g + 3]});
    }
  }
}

/// Row of the tile, and channels of each slab, that a thread brings from the input.
__device__ __forceinline__ int gemm_loaded_row() { return thread_index() / 2; }
__device__ __forceinline__ int gemm_loaded_channel() { return thread_index() % 2 * 4; }

/// acc = the tile. load_a(k): of this thread's gemm_loaded_row(), the four values from k + gemm_loaded_channel() on;
/// called once for each slab, in order. weight: B at the tile's first column.
template <int kColumns, typename LoadA>
__device__ __forceinline__ void gemm_of_rows(float (&acc)[GemmTile::kThreadRows][kColumns / 16], LoadA load_a,
                                             const float* __restrict__ weight, int depth, int oc) {
  constexpr int kDepth = GemmTile::kDepth, kThreadColumns = kColumns / 16, kColumnLoads = kColumns / 4;
  SHARED_ARRAY(float, tile_a, 2, kDepth, GemmTile::kRows + 4);
  SHARED_ARRAY(float, tile_b, 2, kDepth, kColumns);
  const GemmPosition<kColumns> own;
  const int thread = thread_index();
  const int loaded_row = gemm_loaded_row(), loaded_channel = gemm_loaded_channel();
  const int loaded_k = thread / kColumnLoads, loaded_column = thread % kColumnLoads * 4;
  const bool loads_b = loaded_k < kDepth;

  UNROLL
  for (int i = 0; i < GemmTile::kThreadRows; ++i) {
    UNROLL
    for (int j = 0; j < kThreadColumns; ++j) acc[i][j] = 0.0f;
  }

  const float* next_b = weight + loaded_k * oc + loaded_column;
  float4 a, b{};
  const auto load = [&](int k) {
    a = load_a(k);
    if (loads_b) b = load4(next_b);
    next_b += kDepth * oc;
  };
  const auto store = [&](int buffer) {
    tile_a[buffer][loaded_channel + 0][loaded_row] = a.x;
    tile_a[buffer][loaded_channel + 1][loaded_row] = a.y;
    tile_a[buffer][loaded_channel + 2][loaded_row] = a.z;
    tile_a[buffer][loaded_channel + 3][loaded_row] = a.w;
    if (loads_b) store4(&tile_b[buffer][loaded_k][loaded_column], b);
  };

  load(0);
  store(0);
  sync_block();
  for (int slab = 0; slab < depth; slab += kDepth) {
    const int buffer = slab / kDepth & 1;
    const bool more = slab + kDepth < depth;
    if (more) load(slab + kDepth);
    multiply_slab<kColumns>(acc, tile_a[buffer], tile_b[buffer], own);
    if (more) {
      store(buffer ^ 1);  // last read before the barrier that ended the previous slab
      sync_block();
    }
  }
}

/// input: this thread's gemm_loaded_row(), at channel 0 of the first tap. Of the row's `depth` floats the first `run`
/// are contiguous, and so are the rest, `step` floats further on: in [h][w][ic], the two taps of a kernel row are one
/// run of 2ic, and the next row of taps lies w*ic on. weight: B at the tile's first column.
template <int kColumns>
__device__ __forceinline__ void implicit_gemm(float (&acc)[GemmTile::kThreadRows][kColumns / 16],
                                              const float* __restrict__ input, const float* __restrict__ weight,
                                              int depth, int run, int step, int oc) {
  const float* next = input + gemm_loaded_channel();
  gemm_of_rows<kColumns>(
      acc,
      [&](int k) {
        if (k == run) next += step - run;
        const float4 four = load4(next);
        next += GemmTile::kDepth;
        return four;
      },
      weight, depth, oc);
}

/// Stores the tile channel by channel: to maps [n][channels][area] of the positions [n][area] that are the GEMM's rows,
/// of which there are `rows`; first_row, first_column: the tile's. Four consecutive positions a thread and channel, 128
/// bits where area allows it.
template <int kColumns>
__device__ __forceinline__ void store_channels_first(float* maps, int channels, int area, int rows, int first_row,
                                                     int first_column,
                                                     const float (&acc)[GemmTile::kThreadRows][kColumns / 16]) {
  const GemmPosition<kColumns> own;
  UNROLL
  for (int g = 0; g < GemmTile::kThreadRows / 4; ++g) {
    const int row = first_row + own.row + 16 * g;
    UNROLL
    for (int j = 0; j < kColumns / 16; ++j) {
      const int channel = first_column + own.column + j / 4 * 32 + j % 4;
      const auto at = [&](int r) {
        return (static_cast<std::int64_t>(r / area) * channels + channel) * area + r % area;
      };
      if (area % 4 == 0 && row + 4 <= rows) {
        store4(maps + at(row), {acc[4 * g][j], acc[4 * g + 1][j], acc[4 * g + 2][j], acc[4 * g + 3][j]});
        continue;
      }
      UNROLL
      for (int i = 0; i < 4; ++i) {
        if (row + i < rows) maps[at(row + i)] = acc[4 * g + i][j];
      }
    }
  }
}

}  // namespace lfm::kernels::inline LFM_TARGET
