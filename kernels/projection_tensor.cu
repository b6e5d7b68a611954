// projection_tensor: maps[o][p] = sum over c of x[p][c] w[c][o], and its gradients, on tensor cores in BF16 or TF32
// with FP32 sums.
//   x [positions][ic]   g [positions][64]   ->   maps [n][64][area], grad_x [positions][ic], grad_w [ic][64] in FP32,
//   but grad_x of BF16 in BF16
// maps, grad_x  C = A B with A's rows positions, its depth channels side by side
//   grid   (positions/128, columns/64)    block 128 threads, 128 positions x 64 columns
//   warp   32 positions x 64 columns: 2 x 8 mma, 64 sums a thread
//   shared a ring of three stages, each 64 bytes of channels of 128 positions and of 64 columns, both as
//   tensor_layout.h lays a stage of weights
// grad_w  C = A^T B over positions (tensor_positions.cuh): rows = channels, columns = maps
//   grid   (ic/128, slices)    block 128 threads, 128 channels x 64 maps
//   warp   32 channels x 64 maps: 2 x 8 mma; sum_partials() adds the slices in order: the same bits in every run
// Memory bounds all three: 15 to 60 FLOP a byte.
#include "kernels/partial_sums.h"
#include "kernels/projection.h"
#include "kernels/projection_tensor.h"
#include "kernels/tensor_positions.cuh"
#include "kernels/tensor_rows.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kColumns = kProjectionChannels;
constexpr int kRows = 128;  // positions of a block, or channels of grad_w
constexpr int kTilesM = 2, kTilesN = kColumns / 8;
constexpr int kWarpRows = 16 * kTilesM;
constexpr int kLeftChunks = kRows * ConvTile::kSlabChunks, kRightChunks = kColumns * ConvTile::kSlabChunks;
constexpr int kRoundThreads = 256;

/// acc = the product of the block's positions and columns. weight: the columns' stages.
template <typename T, typename Left, typename Right>
__device__ __forceinline__ void multiply_positions(float (&acc)[kTilesM][kTilesN][4], Left& left, Right& right,
                                                   const T* input, const T* weight, int first, int positions,
                                                   int depth) {
  const int thread = thread_index();
  multiply_ring<T>(acc, left, right, depth / kSlab<T>, warp_index() * kWarpRows, 0, [&](int slot, int stage) {
    UNROLL
    for (int j = 0; j < kLeftChunks; j += kTensorThreads) {
      const int i = j + thread, row = i / ConvTile::kSlabChunks, chunk = i % ConvTile::kSlabChunks;
      const bool inside = first + row < positions;
      const std::int64_t at =
          inside ? static_cast<std::int64_t>(first + row) * depth + stage * kSlab<T> + chunk * kPerChunk<T> : 0;
      copy_async(&left[slot][weight_chunk(row, chunk)], input + at, inside);
    }
    UNROLL
    for (int i = 0; i < kRightChunks; i += kTensorThreads) {
      copy_async(&right[slot][i + thread],
                 weight + (static_cast<std::int64_t>(stage) * kRightChunks + i + thread) * kPerChunk<T>, true);
    }
  });
}

// Of a thread's sums, those of position `row` of its mma's two and of four columns that are consecutive channels: of
// mma n and n+1.
struct FourChannels {
  float v[4];
};
__device__ __forceinline__ FourChannels four_channels(const float (&acc)[kTilesN][4], int n, int row) {
  return {{acc[n][2 * row], acc[n][2 * row + 1], acc[n + 1][2 * row], acc[n + 1][2 * row + 1]}};
}

template <typename T>
__global__ void __launch_bounds__(kTensorThreads, 2)
    projection_tensor_kernel(float* __restrict__ maps, const T* __restrict__ input, const T* __restrict__ weight,
                             int positions, int area, int ic) {
  SHARED_ARRAY(Chunk, left, kStages, kLeftChunks);
  SHARED_ARRAY(Chunk, right, kStages, kRightChunks);
  const int first = block_index() * kRows;
  float acc[kTilesM][kTilesN][4];
  multiply_positions(acc, left, right, input, weight, first, positions, ic);
  UNROLL
  for (int m = 0; m < kTilesM; ++m) {
    UNROLL
    for (int row = 0; row < 2; ++row) {
      const int p = first + warp_index() * kWarpRows + 16 * m + 8 * row + lane_index() / 4;
      if (p >= positions) continue;
      float* at = maps + (static_cast<std::int64_t>(p / area) * kColumns + lane_index() % 4 * 4) * area + p % area;
      UNROLL
      for (int n = 0; n < kTilesN; n += 2) {
        const FourChannels from = four_channels(acc[m], n, row);
        float* four = at + static_cast<std::int64_t>(8 * n) * area;
        UNROLL
        for (int j = 0; j < 4; ++j) four[j * area] = from.v[j];
      }
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kTensorThreads, 2)
    projection_input_tensor_kernel(Stored<T>* __restrict__ grad_input, const T* __restrict__ grad_maps,
                                   const T* __restrict__ weight, int positions, int ic, int depth) {
  SHARED_ARRAY(Chunk, left, kStages, kLeftChunks);
  SHARED_ARRAY(Chunk, right, kStages, kRightChunks);
  const int first = block_index() * kRows, channel = block_row() * kColumns;
  float acc[kTilesM][kTilesN][4];
  multiply_positions(acc, left, right, grad_maps, weight + static_cast<std::int64_t>(channel) * depth, first, positions,
                     depth);
  UNROLL
  for (int m = 0; m < kTilesM; ++m) {
    UNROLL
    for (int row = 0; row < 2; ++row) {
      const int p = first + warp_index() * kWarpRows + 16 * m + 8 * row + lane_index() / 4;
      if (p >= positions) continue;
      Stored<T>* at = grad_input + static_cast<std::int64_t>(p) * ic + channel + lane_index() % 4 * 4;
      UNROLL
      for (int n = 0; n < kTilesN; n += 2) store_values(at + 8 * n, four_channels(acc[m], n, row).v);
    }
  }
}

template <typename T>
__global__ void __launch_bounds__(kTensorThreads, 2)
    projection_weight_tensor_kernel(float* __restrict__ partials, const T* __restrict__ input,
                                    const T* __restrict__ grad_maps, int positions, int slice, int ic) {
  constexpr int kInputChunks = kRows / kPerChunk<T>, kGradChunks = kColumns / kPerChunk<T>;
  SHARED_ARRAY(Chunk, left, kStages, kStagePositions<T> * kInputChunks);
  SHARED_ARRAY(Chunk, right, kStages, kStagePositions<T> * kGradChunks);
  const int channel = block_index() * kRows, first = block_row() * slice;
  const int last = positions - first < slice ? positions : first + slice;
  RingSlots slots;
  int next = first;
  const auto copy_into = [&](int slot) {
    if (next < last) {
      const auto row_of = [&](const T* rows, int columns) {
        return [=](int p) { return next + p < last ? rows + static_cast<std::int64_t>(next + p) * columns : nullptr; };
      };
      copy_positions<T, kInputChunks>(left[slot], input, row_of(input + channel, ic));
      copy_positions<T, kGradChunks>(right[slot], grad_maps, row_of(grad_maps, kColumns));
      next += kStagePositions<T>;
    }
    commit_copies();
  };
  UNROLL
  for (int i = 0; i < kStages - 1; ++i) copy_into(i);

  float acc[kTilesM][kTilesN][4];
  zero(acc);
  const int chunk = chunks_of<T>(warp_index() * kWarpRows) + left_chunk<T>();
  ROLLED
  for (int p = first; p < last; p += kStagePositions<T>) {
    const int slot = slots.arrive();
    copy_into(slots.fill());
    UNROLL
    for (int step = 0; step < kStageSteps; ++step) {
      const int x = row_of_step<T>(step) * ConvTile::kWidth + left_position<T>(step);
      const int at = position_chunk<T, kInputChunks>(x, chunk),
                later = sizeof(T) == 2 ? 0 : position_chunk<T, kInputChunks>(x + 4, chunk);
      std::uint32_t a[kTilesM][4];
      UNROLL
      for (int m = 0; m < kTilesM; ++m)
        load_left<T>(a[m], left[slot], at ^ chunks_of<T>(16 * m), later ^ chunks_of<T>(16 * m));
      multiply_positions<T, kGradChunks>(acc, a, right[slot], 0, step);
    }
  }
  float* out = partials + (std::int64_t{block_row()} * ic + channel + warp_index() * kWarpRows) * kColumns;
  UNROLL
  for (int m = 0; m < kTilesM; ++m) store_tile<T>(out + 16 * m * kColumns, kColumns, acc[m]);
}

template <typename T>
__global__ void __launch_bounds__(kRoundThreads)
    round_values_kernel(T* __restrict__ rounded, const float* __restrict__ values, std::int64_t count) {
  const std::int64_t i = wide_item_index(kRoundThreads) * 4;
  if (i >= count) return;
  const float4 v = load4(values + i);
  const float four[4] = {v.x, v.y, v.z, v.w};
  store_values(rounded + i, four);
}

void check(std::int64_t positions, int ic) {
  require(positions > 0 && positions <= INT32_MAX - kRows, "projection_tensor: the batch is empty or too large");
  require(ic > 0 && ic % kRows == 0, "projection_tensor: ic must be a multiple of 128");
}

}  // namespace

template <typename T>
void projection_tensor(float* maps, const T* input, const T* weight, int n, int area, int ic, Stream stream) {
  const std::int64_t positions = static_cast<std::int64_t>(n) * area;
  check(positions, ic);
  launch({.kernel = "projection_tensor", .blocks = {blocks_for(positions, kRows)}, .threads = kTensorThreads}, stream,
         projection_tensor_kernel<T>, maps, input, weight, static_cast<int>(positions), area, ic);
}

template <typename T>
void projection_input_tensor(Stored<T>* grad_input, const T* grad_maps, const T* weight, int positions, int ic,
                             Stream stream) {
  check(positions, ic);
  launch({.kernel = "projection_input_tensor",
          .blocks = {blocks_for(positions, kRows), static_cast<unsigned>(ic / kColumns)},
          .threads = kTensorThreads},
         stream, projection_input_tensor_kernel<T>, grad_input, grad_maps, weight, positions, ic, kColumns);
}

std::size_t projection_weight_tensor_scratch(int positions, int ic) {
  return static_cast<std::size_t>(position_slices(positions, ic / kRows)) * ic * kColumns;
}

template <typename T>
void projection_weight_tensor(float* grad_weight, float* scratch, const T* input, const T* grad_maps, int positions,
                              int ic, bool accumulate, Stream stream) {
  check(positions, ic);
  const int slices = position_slices(positions, ic / kRows);
  launch({.kernel = "projection_weight_tensor",
          .blocks = {static_cast<unsigned>(ic / kRows), static_cast<unsigned>(slices)},
          .threads = kTensorThreads},
         stream, projection_weight_tensor_kernel<T>, scratch, input, grad_maps, positions,
         static_cast<int>(blocks_for(positions, slices)), ic);
  sum_partials(grad_weight, scratch, slices, ic * kColumns, accumulate, stream);
}

template <typename T>
void round_values(T* rounded, const float* values, std::size_t count, Stream stream) {
  require(count > 0 && count % 4 == 0, "round_values: the values must be a multiple of 4");
  launch({.kernel = "round_values",
          .blocks = {blocks_for(count / 4, kRoundThreads)},
          .threads = kRoundThreads,
          .synchronises = false},
         stream, round_values_kernel<T>, rounded, values, static_cast<std::int64_t>(count));
}

template void projection_tensor(float*, const Bfloat16*, const Bfloat16*, int, int, int, Stream);
template void projection_tensor(float*, const Tf32*, const Tf32*, int, int, int, Stream);
template void projection_input_tensor(Bfloat16*, const Bfloat16*, const Bfloat16*, int, int, Stream);
template void projection_input_tensor(float*, const Tf32*, const Tf32*, int, int, Stream);
template void projection_weight_tensor(float*, float*, const Bfloat16*, const Bfloat16*, int, int, bool, Stream);
template void projection_weight_tensor(float*, float*, const Tf32*, const Tf32*, int, int, bool, Stream);
template void round_values(Bfloat16*, const float*, std::size_t, Stream);
template void round_values(Tf32*, const float*, std::size_t, Stream);

}  // namespace lfm::kernels::inline LFM_TARGET
