// conv2x2_winograd: conv2x2_direct.cu's convolution, a 2x2 window of its output at a time, by Winograd's F(2x2, 2x2) on
// the points 0, -1 and infinity (Lavin & Gray 2016, section 4.1, for a kernel of two taps):
//   Y = At [ (G g Gt) . (Bt d B) ] A       d: 3x3 inputs, g: 2x2 weights, Y: 2x2 outputs, which are a pooling window
//   Bt d = (d0 - d1, d1, d2 - d1)          G g = (g0, g0 + g1, g1)          At m = (m0 + m1, m1 + m2)
// Nine products per window, input and output channel, summed over input channels between the transforms: nine GEMMs,
// one a point, whose rows are windows. Direct convolution has 16. All transforms are additions; that of the weights is
// done once, at load.
//   input [n][h][w][ic]   weight in stages (winograd_layout.h)   bias [oc]   ->   output as conv2x2
//
//   grid   (tiles * oc/64)   a block owns 8 x 8 windows of an image and 64 channels; blocks of one tile follow each
//                            other: its input is read from DRAM once
//   block  576 threads = 18 warps; warps 2p and 2p+1 own point p, each of 32 windows x 64 channels, 8 x 8 sums a thread
//   slab   of 4 input channels: patch 17 x 17 inputs -> transformed [9][4][64 windows], times weights [9][4][64
//          channels]
//   shared two of each: while slab s is multiplied, s+1 is transformed, s+1's weights and s+2's patch are on their way;
//   a barrier a slab
// Eight warps transform, a row of windows each: those of the two schedulers that have four warps to run and not five.
// In the end the nine points of a window lie in nine warps: they meet in shared memory, 16 windows at a time, and a
// thread takes four channels of a window through inverse transform, pooling, bias and ReLU.
//
// Per FFMA a warp reads as much shared memory as conv2x2 does (4 requests of 128 bits for 64), so it reads 9/16 of it
// in all; from L2 a block reads 12 bytes a cycle of FFMA (weights 8, inputs 4), conv2x2 8: per image 0.84 of it.
// No bank conflicts: columns of the patch are stored even ones first, so that eight windows side by side and four
// channels are 128 consecutive bytes; a transformed row of 64 windows is padded to 72. A patch's request takes half of
// each sector: the next slab takes the other, from L1 (copy_async_cached).
// 96 registers a thread are what five warps of a scheduler leave each other; hence 32-bit offsets, and loops that stay
// rolled. The last block uses it too, without pooling. Its 1x1 convolution stays a kernel of its own, as for conv2x2:
// fused, a block would need all 512 channels of a window at once, 9 x 512 sums, and registers hold 64 windows of them
// only for 64 channels.
#include <limits>

#include "kernels/conv2x2_winograd.h"
#include "kernels/device.cuh"
#include "kernels/implicit_gemm.cuh"
#include "kernels/launch.h"
#include "kernels/tensor_core.cuh"
#include "kernels/winograd_layout.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

using Tile = WinogradTile;

constexpr int kSide = WinogradTile::kSide;  // windows
constexpr int kWindows = kSide * kSide;
constexpr int kThreads = 2 * Tile::kPoints * kWarp;
constexpr int kPatchSide = 2 * kSide + 1;
constexpr int kPatchPositions = kPatchSide * kPatchSide;
constexpr int kPitch = kWindows + 8;  // of a transformed row: four of them begin in different quarters of the banks
constexpr int kInputFloats = Tile::kPoints * Tile::kDepth * kPitch;
constexpr int kRound = 16;         // windows whose points meet at a time
constexpr int kGemmColumns = 128;  // in the terms of implicit_gemm.cuh: a warp has half of the columns
static_assert(Tile::kStageFloats == 4 * kThreads, "a thread copies 16 bytes of weights");
static_assert(Tile::kPoints * kRound * Tile::kColumns <= 2 * (kInputFloats + Tile::kStageFloats));

// Where the two transformed slabs and the two of weights lie.
__device__ __forceinline__ constexpr int transformed_at(int buffer) { return buffer * kInputFloats; }
__device__ __forceinline__ constexpr int stage_at(int buffer) { return 2 * kInputFloats + buffer * Tile::kStageFloats; }

// Rows of a matrix in shared memory.
struct Rows {
  const float* first;
  int pitch;
  __device__ __forceinline__ const float* operator[](int k) const { return first + k * pitch; }
};

__device__ __forceinline__ float4 sum(const float4& a, const float4& b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}

// Of a patch's position in shared memory: columns 0, 2, ... 16, then 1, 3, ... 15 of each row.
__device__ __forceinline__ int patch_x(int at) {
  const int column = at % kPatchSide;
  return column <= kSide ? 2 * column : 2 * (column - kSide) - 1;
}
__device__ __forceinline__ int patch_at(int y, int column, int x) {
  return y * kPatchSide + column + (x == 1 ? kSide + 1 : x / 2);  // x = 0, 1, 2: of the window in this column
}

__device__ __forceinline__ void transform(float (&v)[3], float d0, float d1, float d2) {
  v[0] = d0 - d1;
  v[1] = d1;
  v[2] = d2 - d1;
}

// One row of windows, whose upper left inputs are in row 2 * row of the patch: lane = 4 column + channel.
template <typename Patch>
__device__ __forceinline__ void transform_row(float* transformed, Patch& patch, int row) {
  const int channel = lane_index() % Tile::kDepth, column = lane_index() / Tile::kDepth;
  const auto at = [&](int y, int x) { return bits_float(patch[patch_at(2 * row + y, column, x)].word[channel]); };
  float* own = transformed + channel * kPitch + row * kSide + column;
  const auto store = [&](int y, int x, float v) { own[(3 * y + x) * Tile::kDepth * kPitch] = v; };
  float middle[3];
  transform(middle, at(0, 1), at(1, 1), at(2, 1));
  UNROLL
  for (int y = 0; y < 3; ++y) store(y, 1, middle[y]);
  UNROLL
  for (int x = 0; x < 3; x += 2) {
    float edge[3];
    transform(edge, at(0, x), at(1, x), at(2, x));
    UNROLL
    for (int y = 0; y < 3; ++y) store(y, x, edge[y] - middle[y]);
  }
}

// Four channels of one row of a window's outputs, from the two rows of its points that it takes, `step` floats from
// point to point.
__device__ __forceinline__ void inverse(float4 (&y)[2], const float* points, int step) {
  const auto column = [&](int x) { return sum(load4(points + x * step), load4(points + (3 + x) * step)); };
  const float4 middle = column(1);
  y[0] = sum(column(0), middle);
  y[1] = sum(middle, column(2));
}

__device__ __forceinline__ float4 larger(const float4& a, const float4& b) {
  return {maximum(a.x, b.x), maximum(a.y, b.y), maximum(a.z, b.z), maximum(a.w, b.w)};
}
__device__ __forceinline__ float at_least(float least, float v) { return v < least ? least : v; }  // keeps NaN

// least: 0 for ReLU, minus infinity without.
__device__ __forceinline__ void store_activated(float* to, const float4& v, const float4& bias, float least) {
  store4(to, {at_least(least, v.x + bias.x), at_least(least, v.y + bias.y), at_least(least, v.z + bias.z),
              at_least(least, v.w + bias.w)});
}

// Which part of the output a block computes.
struct Origin {
  int image, y, x;  // of the first window
  int channel;
};

template <bool kPooled>
__global__ void __launch_bounds__(kThreads, 1)
    conv2x2_winograd_kernel(float* __restrict__ output, const float* __restrict__ input,
                            const float* __restrict__ weight, const float* __restrict__ bias, int h, int w, int ic,
                            int oc, int tiles_y, int tiles_x, float least) {
  SHARED_ARRAY(Chunk, patch, 2, kPatchPositions);
  SHARED_ARRAY(float, pool, 2 * (kInputFloats + Tile::kStageFloats));  // of the GEMMs, then of their results
  SHARED_ARRAY(Origin, kept, 1);  // during the main loop, which needs the registers
  const int thread = thread_index(), warp = warp_index(), lane = lane_index();
  const int slices = oc / Tile::kColumns;
  const int slice = block_index() % slices, tile = block_index() / slices;
  const Origin first{tile / (tiles_y * tiles_x), tile / tiles_x % tiles_y * kSide, tile % tiles_x * kSide,
                     slice * Tile::kColumns};
  if (thread == 0) kept[0] = first;

  const int patch_y = 2 * first.y + thread / kPatchSide, own_x = 2 * first.x + patch_x(thread);
  const bool copies = thread < kPatchPositions, inside = patch_y < h && own_x < w;
  // In chunks of 16 bytes, a slab at a position: 32 bits suffice, and half the registers.
  const std::uint32_t chunks = static_cast<std::uint32_t>(ic / Tile::kDepth);
  std::uint32_t next_patch = inside ? static_cast<std::uint32_t>((first.image * h + patch_y) * w + own_x) * chunks : 0;
  std::uint32_t next_weight =
      static_cast<std::uint32_t>(slice) * chunks * kThreads + static_cast<std::uint32_t>(thread);
  const auto copy_patch = [&](int buffer) {
    if (copies) copy_async_cached(&patch[buffer][thread], reinterpret_cast<const Chunk*>(input) + next_patch, inside);
    ++next_patch;
  };
  const auto copy_weight = [&](int buffer) {
    copy_async(reinterpret_cast<Chunk*>(&pool[stage_at(buffer)]) + thread,
               reinterpret_cast<const Chunk*>(weight) + next_weight, true);
    next_weight += kThreads;
  };
  const bool transforms = warp % 4 >= 2;
  const int transformed_row = warp / 4 * 2 + warp % 2;

  float acc[GemmTile::kThreadRows][kGemmColumns / 16];
  UNROLL
  for (int i = 0; i < GemmTile::kThreadRows; ++i) {
    UNROLL
    for (int j = 0; j < kGemmColumns / 16; ++j) acc[i][j] = 0.0f;
  }
  const int point = warp / 2, first_window = warp % 2 * 32;
  GemmPosition<kGemmColumns> own;
  own.row = first_window + lane / 8 * 4;
  own.column = lane % 8 * 4;

  copy_patch(0);
  commit_copies();
  copy_patch(1);
  copy_weight(0);
  commit_copies();
  wait_copies<1>();
  sync_block();
  if (transforms) transform_row(&pool[transformed_at(0)], patch[0], transformed_row);
  for (int channel = 0; channel < ic; channel += 2 * Tile::kDepth) {
    const bool more = channel + 2 * Tile::kDepth < ic;
    UNROLL
    for (int buffer = 0; buffer < 2; ++buffer) {  // two slabs, so that the buffers' addresses are constants
      wait_copies<0>();
      sync_block();  // this slab's weights and the next one's patch have arrived, this slab is transformed, the one before multiplied
      if (more) copy_patch(buffer);
      if (more || buffer == 0) copy_weight(buffer ^ 1);
      commit_copies();
      if (transforms && (more || buffer == 0))
        transform_row(&pool[transformed_at(buffer ^ 1)], patch[buffer ^ 1], transformed_row);
      ROLLED
      for (int k = 0; k < Tile::kDepth; ++k) {  // unrolled, products move across barriers, and registers do not suffice
        const Rows a{&pool[transformed_at(buffer) + (point * Tile::kDepth + k) * kPitch], kPitch};
        const Rows b{&pool[stage_at(buffer) + (point * Tile::kDepth + k) * Tile::kColumns], Tile::kColumns};
        multiply_slab<kGemmColumns, 1>(acc, a, b, own);
      }
    }
  }

  // Rounds of 16 windows, every fourth one: a thread has two of each round.
  constexpr int step = kRound * Tile::kColumns;
  const int row = thread / 16, column = thread % 16 * 4;
  const int out_h = kPooled ? (h - 1) / 2 : h - 1, out_w = kPooled ? (w - 1) / 2 : w - 1;
  const Origin at = kept[0];
  float* const own_output = output + static_cast<std::int64_t>(at.image) * out_h * out_w * oc + at.channel + column;
  UNROLL
  for (int round = 0; round < 4; ++round) {
    sync_block();
    UNROLL
    for (int g = 0; g < GemmTile::kThreadRows / 4; ++g) {
      UNROLL
      for (int cg = 0; cg < Tile::kColumns / 32; ++cg) {
        const float* v = &acc[4 * g + round][4 * cg];
        store4(&pool[point * step + (first_window / 4 + 4 * g + lane / 8) * Tile::kColumns + own.column + 32 * cg],
               {v[0], v[1], v[2], v[3]});
      }
    }
    sync_block();
    const int window = 4 * row + round, y = at.y + window / kSide, x = at.x + window % kSide;
    if (row >= kRound) continue;
    const float* points = &pool[row * Tile::kColumns + column];
    const float4 b = load4(bias + at.channel + column);
    if constexpr (kPooled) {
      if (y >= out_h || x >= out_w) continue;
      float4 above[2], below[2];
      inverse(above, points, step);
      inverse(below, points + 3 * step, step);
      store_activated(own_output + (static_cast<std::int64_t>(y) * out_w + x) * oc,
                      larger(larger(above[0], above[1]), larger(below[0], below[1])), b, least);
    } else {
      ROLLED
      for (int i = 0; i < 2; ++i) {
        float4 out[2];
        inverse(out, points + 3 * i * step, step);
        if (2 * y + i >= out_h || 2 * x >= out_w) continue;
        float* to = own_output + (static_cast<std::int64_t>(2 * y + i) * out_w + 2 * x) * oc;
        store_activated(to, out[0], b, least);
        if (2 * x + 1 < out_w) store_activated(to + oc, out[1], b, least);
      }
    }
  }
}

}  // namespace

void conv2x2_winograd(const Conv2x2& conv, Epilogue epilogue, Stream stream) {
  const bool pooled = epilogue == Epilogue::bias_relu_pool;
  require(conv.ic % (2 * Tile::kDepth) == 0 && conv.oc % Tile::kColumns == 0,
          "conv2x2_winograd: ic must be a multiple of 8, oc of 64");
  require(conv.n > 0 && conv.ic > 0 && conv.h > (pooled ? 2 : 1) && conv.w > (pooled ? 2 : 1),
          "conv2x2_winograd: the output is empty");
  const int windows_y = pooled ? (conv.h - 1) / 2 : conv.h / 2, windows_x = pooled ? (conv.w - 1) / 2 : conv.w / 2;
  const auto tiles_y = static_cast<int>(blocks_for(windows_y, kSide)),
             tiles_x = static_cast<int>(blocks_for(windows_x, kSide));
  const std::int64_t blocks = std::int64_t{conv.n} * tiles_y * tiles_x * (conv.oc / Tile::kColumns);
  require(blocks <= INT32_MAX && std::int64_t{conv.n} * conv.h * conv.w <= INT32_MAX &&
              std::int64_t{conv.n} * conv.h * conv.w * (conv.ic / Tile::kDepth) <= UINT32_MAX,
          "conv2x2_winograd: the batch is too large for one launch");
  const float least = epilogue == Epilogue::bias ? -std::numeric_limits<float>::infinity() : 0.0f;
  launch({.kernel = "conv2x2_winograd", .blocks = {static_cast<unsigned>(blocks)}, .threads = kThreads}, stream,
         pooled ? conv2x2_winograd_kernel<true> : conv2x2_winograd_kernel<false>, conv.output, conv.input, conv.weight,
         conv.bias, conv.h, conv.w, conv.ic, conv.oc, tiles_y, tiles_x, least);
}

}  // namespace lfm::kernels::inline LFM_TARGET
