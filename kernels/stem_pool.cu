// stem_pool: y[py][px] = max(0, max over ky, kx of v[2py+ky-1][2px+kx-1]), v = scale * x_hat + shift (batch_norm.cuh),
// over the taps that lie inside; the first largest of them is kept, since pooling's windows overlap: on the way back a
// value asks at most four windows whether it won, and need not compare anything.
//   x [n][h][w][c]   ->   output [n][ph][pw][c], winners [n][ph][pw][c/4]
// stem_pool_backward: grad_x[y][x] = sum over the windows around (y, x), in reading order, of g where its tap won.
//   grad_output [n][ph][pw][c], winners   ->   grad_input [n][h][w][c]
// One thread a window (or a position) and four channels, 256 a block; consecutive threads take consecutive channels.
// What lies outside is loaded from the nearest inside and not looked at: a branch around each load would put them in a
// row.
#include "kernels/batch_norm.cuh"
#include "kernels/launch.h"
#include "kernels/stem_pool.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kTaps = 9;  // of a window; as a tap's number: none

__device__ __forceinline__ int nearest(int at, int size) { return at < 0 ? 0 : at < size ? at : size - 1; }

/// Of item i: its four channels and its place in a map of that width and height.
struct Place {
  int channel, x, y;
  std::int64_t image;
  __device__ __forceinline__ Place(unsigned i, int quads, int h, int w) {
    const unsigned position = i / quads, row = position / w;
    channel = static_cast<int>(i % quads) * 4;
    x = static_cast<int>(position % w);
    y = static_cast<int>(row % h);
    image = row / h;
  }
};

__global__ void __launch_bounds__(kThreads)
    stem_pool_kernel(float* __restrict__ output, std::uint32_t* __restrict__ winners, BatchNorm<float> norm,
                     unsigned items) {
  const auto i = static_cast<unsigned>(item_index(kThreads));
  if (i >= items) return;
  const Place own(i, norm.c / 4, (norm.h + 1) / 2, (norm.w + 1) / 2);
  const float* from = norm.x + own.image * norm.h * norm.w * norm.c + own.channel;
  const int top = 2 * own.y - 1, left = 2 * own.x - 1;
  float x[kTaps][4];
  UNROLL
  for (int tap = 0; tap < kTaps; ++tap) {
    const int row = nearest(top + tap / 3, norm.h), column = nearest(left + tap % 3, norm.w);
    load_values(x[tap], from + (std::int64_t{row} * norm.w + column) * norm.c);
  }
  const NormCoefficients k(norm, own.channel);
  float y[4];
  std::uint32_t taps = 0;
  UNROLL
  for (int j = 0; j < 4; ++j) {
    float best = 0.0f;
    int winner = -1;
    UNROLL
    for (int tap = 0; tap < kTaps; ++tap) {
      const int row = top + tap / 3, column = left + tap % 3;
      const float v = k.y(x[tap][j], j);
      const bool inside = row >= 0 && row < norm.h && column >= 0 && column < norm.w;
      if (inside && (winner < 0 || v > best)) {
        best = v;
        winner = tap;
      }
    }
    y[j] = relu_of_norm(best);
    taps |= static_cast<std::uint32_t>(winner) << (8 * j);
  }
  store_values(output + std::int64_t{i} * 4, y);
  winners[i] = taps;
}

__global__ void __launch_bounds__(kThreads)
    stem_pool_backward_kernel(float* __restrict__ grad_input, const float* __restrict__ grad_output,
                              const std::uint32_t* __restrict__ winners, int h, int w, int quads, unsigned items) {
  const auto i = static_cast<unsigned>(item_index(kThreads));
  if (i >= items) return;
  const Place own(i, quads, h, w);
  const int out_h = (h + 1) / 2, out_w = (w + 1) / 2;
  // An even row is the middle one of a window, an odd one the last of one and the first of the next.
  const int first_y = own.y / 2, first_x = own.x / 2;
  float g[4][4];
  std::uint32_t taps[4], own_tap[4];
  UNROLL
  for (int window = 0; window < 4; ++window) {
    const int y = first_y + window / 2, x = first_x + window % 2;
    const int row = own.y - 2 * y + 1, column = own.x - 2 * x + 1;  // in the window; negative: before it
    const bool sees = row >= 0 && column >= 0 && y < out_h && x < out_w;
    own_tap[window] = static_cast<std::uint32_t>(sees ? row * 3 + column : kTaps);
    const std::int64_t at =
        ((own.image * out_h + nearest(y, out_h)) * out_w + nearest(x, out_w)) * quads + own.channel / 4;
    taps[window] = winners[at];
    load_values(g[window], grad_output + at * 4);
  }
  float sum[4] = {};
  UNROLL
  for (int window = 0; window < 4; ++window) {
    UNROLL
    for (int j = 0; j < 4; ++j) sum[j] += (taps[window] >> (8 * j) & 0xffu) == own_tap[window] ? g[window][j] : 0.0f;
  }
  store_values(grad_input + std::int64_t{i} * 4, sum);
}

/// Items of n maps h x w.
unsigned items_of(int n, int h, int w, int c) {
  require(n > 0 && h > 0 && w > 0, "stem_pool: the batch is empty");
  require(c > 0 && c % 4 == 0, "stem_pool: channels must be a multiple of 4");
  const std::int64_t items = static_cast<std::int64_t>(n) * h * w * (c / 4);
  require(items <= UINT32_MAX - kThreads, "stem_pool: the batch is too large for one launch");
  return static_cast<unsigned>(items);
}

}  // namespace

void stem_pool(float* output, std::uint32_t* winners, const BatchNorm<float>& norm, Stream stream) {
  items_of(norm.n, norm.h, norm.w, norm.c);
  const unsigned items = items_of(norm.n, (norm.h + 1) / 2, (norm.w + 1) / 2, norm.c);
  launch({.kernel = "stem_pool", .blocks = {blocks_for(items, kThreads)}, .threads = kThreads, .synchronises = false},
         stream, stem_pool_kernel, output, winners, norm, items);
}

void stem_pool_backward(float* grad_input, const float* grad_output, const std::uint32_t* winners, int n, int h, int w,
                        int c, Stream stream) {
  const unsigned items = items_of(n, h, w, c);
  launch({.kernel = "stem_pool_backward",
          .blocks = {blocks_for(items, kThreads)},
          .threads = kThreads,
          .synchronises = false},
         stream, stem_pool_backward_kernel, grad_input, grad_output, winners, h, w, c / 4, items);
}

}  // namespace lfm::kernels::inline LFM_TARGET
