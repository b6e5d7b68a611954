// first_conv: y[y][x][o] = bias[o] + sum over ky, kx, c of r[y+ky][x+kx][c] w[2ky+kx][c][o], with the residual
//   r[y][x][c] = scale[c] residual[y][x][c]    (residual.cuh): NPR's, computed from pixels on the way, or any other's,
//                                              from memory
//   grad_w[tap][c][o] = sum over n, y, x of r g
//   pixels [n][height][width][3]   weight [4][3][64]   bias [64]   ->   output [n][h-1][w-1][64]
//
//   stage  thread t computes the 12 residuals under position t of 256 consecutive ones into shared memory: rows of 12
//          floats, whose 128-bit quarters fall into different banks for eight lanes side by side
//   then   thread t owns channels 4(t%16)...+3 and takes every 16th position: three 128-bit reads of shared memory
//          (broadcast to 16 lanes) feed 48 multiply-adds; 16 lanes store, or read the gradient, 256 bytes side by side
// Forward  grid (positions/256): the 48 weights stay in registers.
// Backward grid (slices): a block stages its slice 256 positions at a time; the 48 sums stay in registers, and the 16
// threads of a
//          channel add theirs, in order: two in the warp, then eight through shared memory. sum_partials() adds the
//          slices.
#include <algorithm>

#include "kernels/device.cuh"
#include "kernels/first_conv.h"
#include "kernels/launch.h"
#include "kernels/partial_sums.h"
#include "kernels/residual.cuh"
#include "kernels/tensor_core.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kPositions = 256;  // staged at a time
constexpr int kTerms = 12;       // taps times input channels
constexpr int kAcross = kFirstBlockChannels / 4;
constexpr int kDown = kThreads / kAcross;
constexpr int kWeights = kTerms * kFirstBlockChannels;
constexpr int kWarps = kThreads / kWarp;
constexpr int kLeastStages = 4, kMostSlices = 1024;  // stages of a slice, slices

// The residuals under one position of the output [h-1][w-1], term = 3 tap + channel.
template <typename Residual>
__device__ __forceinline__ void residuals(float (&r)[kTerms], const FirstConvInput<typename Residual::Source>& in,
                                          int position) {
  const int out_h = Residual::whole_cells(in.height) - 1, out_w = Residual::whole_cells(in.width) - 1;
  const int y = position / out_w % out_h, x = position % out_w;
  const typename Residual::Source* image =
      in.pixels + static_cast<std::int64_t>(position / out_w / out_h) * in.height * in.width * 3;
  UNROLL
  for (int tap = 0; tap < 4; ++tap) {
    const int py = y + tap / 2, px = x + tap % 2;
    UNROLL
    for (int c = 0; c < 3; ++c) {
      const auto pixel = [&](int row, int column) { return +image[(row * in.width + column) * 3 + c]; };
      r[tap * 3 + c] = Residual::at(pixel, py, px) * in.scale.channel[c];
    }
  }
}

template <typename Residual, typename Patch>
__device__ __forceinline__ void stage(Patch& patch, const FirstConvInput<typename Residual::Source>& in, int position) {
  const int thread = thread_index();
  float r[kTerms];
  residuals<Residual>(r, in, position);
  UNROLL
  for (int q = 0; q < kTerms; q += 4) store4(&patch[thread][q], {r[q], r[q + 1], r[q + 2], r[q + 3]});
}

template <typename Patch>
__device__ __forceinline__ void read_patch(float (&r)[kTerms], Patch& patch, int i) {
  UNROLL
  for (int q = 0; q < kTerms; q += 4) {
    const float4 v = load4(&patch[i][q]);
    r[q] = v.x, r[q + 1] = v.y, r[q + 2] = v.z, r[q + 3] = v.w;
  }
}

template <typename Residual>
__global__ void __launch_bounds__(kThreads, 2)
    first_conv_kernel(float* __restrict__ output, FirstConvInput<typename Residual::Source> in,
                      const float* __restrict__ weight, const float* __restrict__ bias, int positions) {
  SHARED_ARRAY(float, patch, kPositions, kTerms);
  const int thread = thread_index(), channel = thread % kAcross * 4;
  const int first = block_index() * kPositions;
  if (first + thread < positions) stage<Residual>(patch, in, first + thread);
  float4 w[kTerms];
  UNROLL
  for (int t = 0; t < kTerms; ++t) w[t] = load4(weight + t * kFirstBlockChannels + channel);
  const float4 b = load4(bias + channel);
  sync_block();

  for (int i = thread / kAcross; i < kPositions && first + i < positions; i += kDown) {
    float r[kTerms];
    read_patch(r, patch, i);
    float4 sum = b;
    UNROLL
    for (int t = 0; t < kTerms; ++t) {
      sum.x += r[t] * w[t].x, sum.y += r[t] * w[t].y, sum.z += r[t] * w[t].z, sum.w += r[t] * w[t].w;
    }
    store4(output + static_cast<std::int64_t>(first + i) * kFirstBlockChannels + channel, sum);
  }
}

template <typename Residual, typename G>
__global__ void __launch_bounds__(kThreads, 2)
    first_conv_backward_weight_kernel(float* __restrict__ partials, FirstConvInput<typename Residual::Source> in,
                                      const G* __restrict__ grad_output, int positions, int slice) {
  SHARED_ARRAY(float, patch, kPositions, kTerms);
  SHARED_ARRAY(float, sums, kWarps, kWeights);
  const int thread = thread_index(), channel = thread % kAcross * 4;
  const int begin = block_index() * slice, end = positions - begin < slice ? positions : begin + slice;
  float acc[kTerms][4] = {};
  for (int first = begin; first < end; first += kPositions) {
    if (first + thread < end) stage<Residual>(patch, in, first + thread);
    sync_block();
    for (int i = thread / kAcross; i < kPositions && first + i < end; i += kDown) {
      float g[4], r[kTerms];
      load_values(g, grad_output + static_cast<std::int64_t>(first + i) * kFirstBlockChannels + channel);
      read_patch(r, patch, i);
      UNROLL
      for (int t = 0; t < kTerms; ++t) {
        UNROLL
        for (int j = 0; j < 4; ++j) acc[t][j] += r[t] * g[j];
      }
    }
    sync_block();
  }
  UNROLL
  for (int t = 0; t < kTerms; ++t) {
    UNROLL
    for (int j = 0; j < 4; ++j) acc[t][j] += shuffle_xor(kAllLanes, acc[t][j], kAcross);
    if (lane_index() < kAcross) {
      store4(&sums[warp_index()][t * kFirstBlockChannels + channel], {acc[t][0], acc[t][1], acc[t][2], acc[t][3]});
    }
  }
  sync_block();
  for (int i = thread; i < kWeights; i += kThreads) {
    float total = 0.0f;
    UNROLL
    for (int warp = 0; warp < kWarps; ++warp) total += sums[warp][i];
    partials[std::int64_t{block_index()} * kWeights + i] = total;
  }
}

template <typename Residual>
int positions_of(int n, int height, int width) {
  const int out_h = Residual::whole_cells(height) - 1, out_w = Residual::whole_cells(width) - 1;
  require(n > 0 && out_h > 0 && out_w > 0, "first_conv: the output is empty");
  require(static_cast<std::int64_t>(height) * width * 3 <= INT32_MAX, "first_conv: the images are too large");
  const std::int64_t positions = static_cast<std::int64_t>(n) * out_h * out_w;
  require(positions <= INT32_MAX - 2 * kPositions, "first_conv: the batch is too large for one launch");
  return static_cast<int>(positions);
}

// Positions of a slice: whole stages.
int slice_of(int positions) {
  const int stages = static_cast<int>(blocks_for(positions, kPositions));
  return std::max(kLeastStages, static_cast<int>(blocks_for(stages, kMostSlices))) * kPositions;
}

}  // namespace

template <typename Source>
void first_conv(float* output, const FirstConvInput<Source>& input, const float* weight, const float* bias,
                Stream stream) {
  using Residual = typename ResidualFrom<Source>::type;
  const int positions = positions_of<Residual>(input.n, input.height, input.width);
  launch({.kernel = "first_conv", .blocks = {blocks_for(positions, kPositions)}, .threads = kThreads}, stream,
         first_conv_kernel<Residual>, output, input, weight, bias, positions);
}

std::size_t first_conv_backward_weight_scratch(int n, int height, int width) {
  const int least =
      static_cast<int>(blocks_for(positions_of<StoredResidual>(n, height, width), kLeastStages * kPositions));
  return static_cast<std::size_t>(std::min(least, kMostSlices)) * kWeights;
}

template <typename Source, typename G>
void first_conv_backward_weight(float* grad_weight, float* scratch, const FirstConvInput<Source>& input,
                                const G* grad_output, bool accumulate, Stream stream) {
  using Residual = typename ResidualFrom<Source>::type;
  const int positions = positions_of<Residual>(input.n, input.height, input.width), slice = slice_of(positions);
  const unsigned slices = blocks_for(positions, slice);
  launch({.kernel = "first_conv_backward_weight", .blocks = {slices}, .threads = kThreads}, stream,
         first_conv_backward_weight_kernel<Residual, G>, scratch, input, grad_output, positions, slice);
  sum_partials(grad_weight, scratch, static_cast<int>(slices), kWeights, accumulate, stream);
}

#define LFM_FIRST_CONV(Source)                                                                                         \
  template void first_conv(float*, const FirstConvInput<Source>&, const float*, const float*, Stream);                 \
  template void first_conv_backward_weight(float*, float*, const FirstConvInput<Source>&, const float*, bool, Stream); \
  template void first_conv_backward_weight(float*, float*, const FirstConvInput<Source>&, const Bfloat16*, bool, Stream)
LFM_FIRST_CONV(std::uint8_t);
LFM_FIRST_CONV(float);
#undef LFM_FIRST_CONV

}  // namespace lfm::kernels::inline LFM_TARGET
