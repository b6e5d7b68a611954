// first_block: residual, 2x2 convolution 3->64, max-pool 2x2/2, bias, ReLU.
//   pixels [n][height][width][3] uint8   weight [4][3][64]   bias [64]   ->   output [n][ph][pw][64]
//   ph = (h-1)/2, pw = (w-1)/2 with h = height & ~1, w = width & ~1
//
// NPR, from pixels: a pooled output sees 3x3 of them whose corners start cells, where the residual is zero: of the nine
// only
//   . a .        four convolutions (one per position of the window) take three taps each of these five: 9 taps times
//   b c d        3 channels... instead of 12, and their maximum is the pooled value. The always-zero quarter is never
//   . e .        multiplied.
//   grid   (n*ph*pw/256)    block 256 threads: 256 consecutive pooled outputs, all 64 channels
//   stage  thread t computes the 15 residuals (5 positions x 3 channels) of output t into shared memory
//   then   thread t owns channels 4(t%16)...+3 with their 48 weights in registers, and takes every 16th output: four
//          128-bit reads of shared memory (broadcast to 16 lanes) feed 144 multiply-adds; 16 lanes store 256 bytes side
//          by side, 128 of halves.
// shared: a row of 16 floats per output, its four quarters permuted by the output's number, so that eight lanes that
// each write a quarter of their own row meet eight different groups of four banks, and the two rows a warp reads lie in
// different halves.
//
// Any other residual, from memory ([n][h][w][3] float): nine positions in rows of 28 floats, whose seven quarters fall
// into different banks for eight lanes as they are; seven reads feed 192 multiply-adds.
#include "kernels/first_block.h"
#include "kernels/first_patch.cuh"
#include "kernels/launch.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kOutputs = 256;  // pooled outputs of a block
constexpr int kChannelsOfThread = 4;
constexpr int kThreadsAcross = kFirstBlockChannels / kChannelsOfThread;

template <typename T, typename Residual>
__global__ void __launch_bounds__(kThreads, 2)
    first_block_kernel(T* __restrict__ output, const typename Residual::Source* __restrict__ pixels,
                       const float* __restrict__ weight, const float* __restrict__ bias, int outputs, int height,
                       int width, int out_h, int out_w) {
  using P = Patch<Residual>;
  SHARED_ARRAY(float, patch, kOutputs, P::kFloats);
  const int thread = thread_index();
  const int first = block_index() * kOutputs;

  if (const int at = first + thread; at < outputs) {
    const int image = at / (out_h * out_w), y = at / out_w % out_h * 2, x = at % out_w * 2;
    float r[P::kFloats];
    residuals<Residual>(r, pixels + ((static_cast<std::int64_t>(image) * height + y) * width + x) * 3, width * 3);
    UNROLL
    for (int q = 0; q < P::kQuarters; ++q) {
      store4(&patch[thread][P::quarter(q, thread)], {r[4 * q], r[4 * q + 1], r[4 * q + 2], r[4 * q + 3]});
    }
  }

  const int channel = thread % kThreadsAcross * kChannelsOfThread;
  float w[4][3][kChannelsOfThread];
  UNROLL
  for (int tap = 0; tap < 4; ++tap) {
    UNROLL
    for (int c = 0; c < 3; ++c) {
      const float4 v = load4(weight + (tap * 3 + c) * kFirstBlockChannels + channel);
      w[tap][c][0] = v.x, w[tap][c][1] = v.y, w[tap][c][2] = v.z, w[tap][c][3] = v.w;
    }
  }
  const float4 b = load4(bias + channel);
  sync_block();

  for (int i = thread / kThreadsAcross; i < kOutputs && first + i < outputs; i += kThreads / kThreadsAcross) {
    float r[P::kFloats];
    UNROLL
    for (int q = 0; q < P::kQuarters; ++q) {
      const float4 v = load4(&patch[i][P::quarter(q, i)]);
      r[4 * q] = v.x, r[4 * q + 1] = v.y, r[4 * q + 2] = v.z, r[4 * q + 3] = v.w;
    }
    float best[kChannelsOfThread];
    UNROLL
    for (int window = 0; window < 4; ++window) {
      float sum[kChannelsOfThread] = {};
      UNROLL
      for (int tap = 0; tap < 4; ++tap) {
        const int slot = P::slot_of(window / 2 + tap / 2, window % 2 + tap % 2);
        if (slot < 0) continue;
        UNROLL
        for (int c = 0; c < 3; ++c) {
          UNROLL
          for (int j = 0; j < kChannelsOfThread; ++j) sum[j] += r[slot * 3 + c] * w[tap][c][j];
        }
      }
      UNROLL
      for (int j = 0; j < kChannelsOfThread; ++j) best[j] = window == 0 ? sum[j] : maximum(best[j], sum[j]);
    }
    const float y[kChannelsOfThread] = {relu(best[0] + b.x), relu(best[1] + b.y), relu(best[2] + b.z),
                                        relu(best[3] + b.w)};
    store_values(output + static_cast<std::int64_t>(first + i) * kFirstBlockChannels + channel, y);
  }
}

}  // namespace

template <typename T, typename Source>
void first_block(T* output, const Source* pixels, const float* weight, const float* bias, int n, int height, int width,
                 Stream stream) {
  using Residual = typename ResidualFrom<Source>::type;
  const int out_h = (Residual::whole_cells(height) - 1) / 2, out_w = (Residual::whole_cells(width) - 1) / 2;
  require(n > 0 && out_h > 0 && out_w > 0, "first_block: the output is empty");
  const std::int64_t outputs = static_cast<std::int64_t>(n) * out_h * out_w;
  require(outputs <= INT32_MAX - kOutputs, "first_block: the batch is too large for one launch");
  launch({.kernel = "first_block", .blocks = {blocks_for(outputs, kOutputs)}, .threads = kThreads}, stream,
         first_block_kernel<T, Residual>, output, pixels, weight, bias, static_cast<int>(outputs), height, width, out_h,
         out_w);
}

#define LFM_FIRST_BLOCK(T, Source) \
  template void first_block(T*, const Source*, const float*, const float*, int, int, int, Stream)
LFM_FIRST_BLOCK(float, std::uint8_t);
LFM_FIRST_BLOCK(float, float);
LFM_FIRST_BLOCK(Half, float);
LFM_FIRST_BLOCK(Bfloat16, float);
LFM_FIRST_BLOCK(Tf32, float);
#undef LFM_FIRST_BLOCK

}  // namespace lfm::kernels::inline LFM_TARGET
