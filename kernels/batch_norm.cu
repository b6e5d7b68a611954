// batch_norm: y = relu(scale * x_hat + shift), x_hat = (x - mean) * inverse, mean and variance per channel over n, h,
// w; then 2x2/2 max-pooling or not.
//   x [n][h][w][c]   ->   output [n][h][w][c] or [n][h/2][w/2][c]
// Backward, with g the gradient of scale * x_hat + shift (zero where ReLU or the pooling did not let it through):
//   grad_shift = sum g     grad_scale = sum g x_hat
//   grad_x = scale * inverse * (g - sum g / count - x_hat * sum (g x_hat) / count)
// Which of a window's four was the largest is computed again from x by the same function (batch_norm.cuh), not stored:
// x is read anyway. Without ReLU, where a shortcut is added first (join.cu), every g flows through.
//
// What is fused. Forward: normalisation, ReLU, pooling, and rounding to what the next convolution multiplies, in one
// pass over x. Backward: the gradients of pooling, ReLU and batch norm, the border of zeros and the rounding, in two
// passes over x and one array of gradients; neither the gradient before pooling nor that before ReLU is ever in memory.
// Two passes, because every value of grad_x needs both sums over the whole batch, of all processes: no block can finish
// a value before every block has added its own. For the same reason statistics are a pass of their own. They could be
// taken from the convolution's sums, and the backward pass's sums from those of the next one's gradient, before they
// are stored; that saves a read each, but moves the order of the sums into tiles of the convolutions, so that it would
// differ between precisions.
//
// Sums over positions (channel_slices.cuh): phase 1
//   grid (slices, c/64), block 256 threads = 16 (positions) x 16 (four channels each, 256 bytes side by side, or 128 in
//   BF16). A thread takes every 16th position of the slice; the 16 partial results of a channel meet in shared memory,
//   in order.
// Elementwise kernels: one thread a window (or position) and four channels; consecutive threads take consecutive
// channels.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "kernels/batch_norm.cuh"
#include "kernels/channel_slices.cuh"
#include "kernels/launch.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;
constexpr int kAcross = 16;                // threads across the channels of a block
constexpr int kChannels = 4 * kAcross;     // channels of a block
constexpr int kDown = kThreads / kAcross;  // threads down its positions
constexpr int kAhead = 4;                  // positions that a thread loads, where there are so many, before it adds one

// step(n) for n of a thread's positions, from p on, while there are so many before last; then step(1) for the rest.
template <int n, typename Position, typename Step>
__device__ __forceinline__ void for_ahead(Position& p, Position last, Step step) {
  for (; p + (n - 1) * kDown < last; p += n * kDown) step(std::integral_constant<int, n>{});
  if constexpr (n > 1) {
    for (; p < last; p += kDown) step(std::integral_constant<int, 1>{});
  }
}

template <typename X>
__global__ void __launch_bounds__(kThreads)
    slice_moments_kernel(float* __restrict__ partials, const X* __restrict__ x, std::int64_t positions,
                         std::int64_t slice_size, int c) {
  SHARED_ARRAY(float, means, kDown, kChannels);
  SHARED_ARRAY(float, squares, kDown, kChannels);
  const int thread = thread_index(), down = thread / kAcross, own = thread % kAcross * 4;
  const int channel = block_row() * kChannels;
  const Slice slice = slice_of(positions, slice_size, block_index());

  float mean[4] = {}, square[4] = {}, count = 0.0f;
  const auto add = [&](const float(&v)[4]) {
    count += 1.0f;
    const float weight = 1.0f / count;
    UNROLL
    for (int j = 0; j < 4; ++j) {
      const float deviation = v[j] - mean[j];
      mean[j] += deviation * weight;
      square[j] += deviation * (v[j] - mean[j]);
    }
  };
  const X* from = x + channel + own;
  std::int64_t p = slice.first + down;
  for_ahead<kAhead>(p, slice.last, [&](auto many) {
    float v[many.value][4];
    UNROLL
    for (int i = 0; i < many.value; ++i) load_values(v[i], from + (p + i * kDown) * c);
    UNROLL
    for (int i = 0; i < many.value; ++i) add(v[i]);
  });
  store4(&means[down][own], {mean[0], mean[1], mean[2], mean[3]});
  store4(&squares[down][own], {square[0], square[1], square[2], square[3]});
  sync_block();

  if (thread >= kChannels) return;
  const int size = static_cast<int>(slice.last - slice.first);
  const auto share = [&](int d) {
    return static_cast<float>((size - d + kDown - 1) / kDown);
  };  // positions that thread row d took
  float total = 0.0f, deviations = 0.0f;
  for (int d = 0; d < kDown && d < size; ++d) total += share(d) * (means[d][thread] - means[0][thread]);
  const float merged = means[0][thread] + total / static_cast<float>(size);
  for (int d = 0; d < kDown && d < size; ++d) {
    const float shift = means[d][thread] - merged;
    deviations += squares[d][thread] + share(d) * shift * shift;
  }
  float* out = partials + std::int64_t{block_index()} * 2 * c + channel + thread;
  out[0] = merged;
  out[c] = deviations;
}

__global__ void __launch_bounds__(kMergeThreads)
    merge_moments_kernel(double* __restrict__ moments, const float* __restrict__ partials, std::int64_t positions,
                         std::int64_t slice_size, int slices, int c) {
  SHARED_ARRAY(double, sums, kMergers, kMergedChannels);
  SHARED_ARRAY(double, squares, kMergers, kMergedChannels);
  const int channel = merged_channel();
  float means[kMergedSlices], own_squares[kMergedSlices];
  load_slices(means, partials + channel, slices, c);
  load_slices(own_squares, partials + c + channel, slices, c);
  const auto most = static_cast<double>(slice_size);
  const auto rest = static_cast<double>(positions - (slices - 1) * slice_size);  // of the last slice
  const auto size = [&](int s) { return s + 1 < slices ? most : rest; };
  const double sum = merge(sums, sum_own_slices(slices, [&](int i, int s) { return size(s) * means[i]; }));
  const double mean = sum / static_cast<double>(positions);
  const double deviations = merge(squares, sum_own_slices(slices, [&](int i, int s) {
                                    const double shift = means[i] - mean;
                                    return own_squares[i] + size(s) * shift * shift;
                                  }));
  if (thread_index() >= kMergedChannels) return;
  moments[channel] = mean;
  moments[c + channel] = deviations;
}

__global__ void __launch_bounds__(kThreads)
    moments_to_totals_kernel(double* __restrict__ totals, const double* __restrict__ moments, double count, int c) {
  const int channel = item_index(kThreads);
  if (channel < c) totals[channel] = count * moments[channel];
}

__global__ void __launch_bounds__(kThreads)
    recentre_moments_kernel(double* __restrict__ moments, const double* __restrict__ totals, double count, double whole,
                            int c) {
  const int channel = item_index(kThreads);
  if (channel >= c) return;
  const double mean = totals[channel] / whole, shift = moments[channel] - mean;
  moments[channel] = mean;
  moments[c + channel] += count * shift * shift;
}

__global__ void __launch_bounds__(kThreads)
    batch_statistics_kernel(float* __restrict__ statistics, float* __restrict__ running_mean,
                            float* __restrict__ running_var, const double* __restrict__ moments, double count, int c,
                            double eps, double momentum, const float* __restrict__ bias) {
  const int channel = item_index(kThreads);
  if (channel >= c) return;
  const double mean = moments[channel], deviations = moments[c + channel];
  statistics[channel] = static_cast<float>(mean);
  statistics[c + channel] = static_cast<float>(1.0 / std::sqrt(deviations / count + eps));
  const double old_mean = running_mean[channel], old_var = running_var[channel];
  const double whole_mean = bias ? mean + bias[channel] : mean;
  running_mean[channel] = static_cast<float>(old_mean + momentum * (whole_mean - old_mean));
  running_var[channel] = static_cast<float>(old_var + momentum * (deviations / (count - 1.0) - old_var));
}

// An item a thread. There are fewer than 2^32, so positions are 32 bits: with 64, elementwise kernels feel the
// divisions.
__device__ __forceinline__ unsigned item_of_many() { return static_cast<unsigned>(item_index(kThreads)); }

// One channel of a window: the y that leaves it, and where it comes from.
struct Winner {
  float y;
  int index;
};
template <int kWindow>
__device__ __forceinline__ Winner winner_of(const float (&x)[kWindow][4], const NormCoefficients& k, int j) {
  Winner winner{k.y(x[0][j], j), 0};
  UNROLL
  for (int i = 1; i < kWindow; ++i) {
    const float y = k.y(x[i][j], j);
    if (y > winner.y) winner = {y, i};
  }
  return winner;
}

template <typename X, bool kPool>
struct Window {
  static constexpr int kSide = kPool ? 2 : 1;
  static constexpr int kSize = kSide * kSide;
  std::int64_t corner;  // of x, at channel 0

  __device__ __forceinline__ Window(const BatchNorm<X>& norm, unsigned index) {
    if constexpr (kPool) {
      const unsigned out_h = norm.h / kSide, out_w = norm.w / kSide, row = index / out_w, image = row / out_h;
      index = (image * norm.h + row % out_h * kSide) * norm.w + index % out_w * kSide;
    }
    corner = std::int64_t{index} * norm.c;
  }
  __device__ __forceinline__ void load(float (&x)[kSize][4], const BatchNorm<X>& norm, int channel) const {
    UNROLL
    for (int i = 0; i < kSize; ++i) {
      load_values(x[i], norm.x + corner + (i / kSide * norm.w + i % kSide) * norm.c + channel);
    }
  }
};

template <typename T, typename X, bool kPool>
__global__ void __launch_bounds__(kThreads)
    batch_norm_relu_kernel(T* __restrict__ output, BatchNorm<X> norm, unsigned items) {
  using W = Window<X, kPool>;
  const unsigned i = item_of_many();
  if (i >= items) return;
  const unsigned quads = norm.c / 4;
  const int channel = static_cast<int>(i % quads) * 4;
  const NormCoefficients k(norm, channel);
  float x[W::kSize][4];
  W(norm, i / quads).load(x, norm, channel);
  float y[4];
  UNROLL
  for (int j = 0; j < 4; ++j) y[j] = relu_of_norm(winner_of(x, k, j).y);
  store_values(output + std::int64_t{i} * 4, y);
}

template <typename X, typename G, bool kPool, bool kRelu>
__global__ void __launch_bounds__(kThreads)
    slice_backward_sums_kernel(float* __restrict__ partials, BatchNorm<X> norm, const G* __restrict__ grad_output,
                               std::int64_t windows, std::int64_t slice_size) {
  using W = Window<X, kPool>;
  SHARED_ARRAY(float, sums_g, kDown, kChannels);
  SHARED_ARRAY(float, sums_gx, kDown, kChannels);
  const int thread = thread_index(), down = thread / kAcross, own = thread % kAcross * 4;
  const int first_channel = block_row() * kChannels, channel = first_channel + own;
  const Slice slice = slice_of(windows, slice_size, block_index());
  const NormCoefficients k(norm, channel);

  float sum_g[4] = {}, sum_gx[4] = {};
  const auto add = [&](const float(&x)[W::kSize][4], const float(&g)[4]) {
    UNROLL
    for (int j = 0; j < 4; ++j) {
      const Winner winner = winner_of(x, k, j);
      if (kRelu && !(winner.y > 0.0f)) continue;
      float from = x[0][j];
      UNROLL
      for (int i = 1; i < W::kSize; ++i) from = i == winner.index ? x[i][j] : from;
      sum_g[j] += g[j];
      sum_gx[j] += g[j] * k.x_hat(from, j);
    }
  };
  const auto last = static_cast<unsigned>(slice.last);
  unsigned p = static_cast<unsigned>(slice.first) + down;
  for_ahead<kAhead / W::kSize>(p, last, [&](auto many) {
    constexpr int kMany = many.value;
    float x[kMany][W::kSize][4], g[kMany][4];
    UNROLL
    for (int i = 0; i < kMany; ++i) {
      W(norm, p + i * kDown).load(x[i], norm, channel);
      load_values(g[i], grad_output + std::int64_t{p + i * kDown} * norm.c + channel);
    }
    UNROLL
    for (int i = 0; i < kMany; ++i) add(x[i], g[i]);
  });
  store4(&sums_g[down][own], {sum_g[0], sum_g[1], sum_g[2], sum_g[3]});
  store4(&sums_gx[down][own], {sum_gx[0], sum_gx[1], sum_gx[2], sum_gx[3]});
  sync_block();

  if (thread >= kChannels) return;
  float total_g = 0.0f, total_gx = 0.0f;
  for (int d = 0; d < kDown; ++d) {
    total_g += sums_g[d][thread];
    total_gx += sums_gx[d][thread];
  }
  float* out = partials + std::int64_t{block_index()} * 2 * norm.c + first_channel + thread;
  out[0] = total_g;
  out[norm.c] = total_gx;
}

__global__ void __launch_bounds__(kMergeThreads)
    merge_backward_sums_kernel(double* __restrict__ sums, float* __restrict__ grad_scale,
                               float* __restrict__ grad_shift, const float* __restrict__ partials, int slices, int c,
                               bool accumulate) {
  SHARED_ARRAY(double, sums_g, kMergers, kMergedChannels);
  SHARED_ARRAY(double, sums_gx, kMergers, kMergedChannels);
  const int channel = merged_channel();
  float own_g[kMergedSlices], own_gx[kMergedSlices];
  load_slices(own_g, partials + channel, slices, c);
  load_slices(own_gx, partials + c + channel, slices, c);
  const double g = merge(sums_g, sum_own_slices(slices, [&](int i, int) { return own_g[i]; }));
  const double gx = merge(sums_gx, sum_own_slices(slices, [&](int i, int) { return own_gx[i]; }));
  if (thread_index() >= kMergedChannels) return;
  sums[channel] = g;
  sums[c + channel] = gx;
  grad_shift[channel] = static_cast<float>((accumulate ? grad_shift[channel] : 0.0f) + g);
  grad_scale[channel] = static_cast<float>((accumulate ? grad_scale[channel] : 0.0f) + gx);
}

__global__ void __launch_bounds__(kThreads)
    mean_kernel(float* __restrict__ means, const double* __restrict__ sums, double count, int values) {
  const int i = item_index(kThreads);
  if (i < values) means[i] = static_cast<float>(sums[i] / count);
}

// One thread a window of x, the incomplete ones at the lower and right edge and those of the border included: to these
// no g flows. Not __restrict__: grad_x may be x, and a thread reads all of its window before it writes.
template <typename T, typename X, bool kPool, bool kRelu>
__global__ void __launch_bounds__(kThreads)
    batch_norm_relu_backward_kernel(T* grad_x, const float* __restrict__ means, BatchNorm<X> norm,
                                    const Stored<T>* __restrict__ grad_output, int border, unsigned windows_h,
                                    unsigned windows_w, unsigned items) {
  using W = Window<X, kPool>;
  const unsigned i = item_of_many();
  if (i >= items) return;
  const unsigned quads = norm.c / 4, window = i / quads, rows = window / windows_w;
  const int channel = static_cast<int>(i % quads) * 4;
  const auto image = static_cast<int>(rows / windows_h);
  const int row = static_cast<int>(rows % windows_h) - border;  // of windows; -1: the border before the first
  const int column = static_cast<int>(window % windows_w) - border;
  const int out_h = norm.h / W::kSide, out_w = norm.w / W::kSide;
  const NormCoefficients k(norm, channel);

  const auto is_inside = [](int y, int x, int h, int w) { return y >= 0 && y < h && x >= 0 && x < w; };
  // Outside, the nearest inside is loaded, of the same window where grad_x is x: a branch around each load would put
  // them in a row.
  const auto nearest = [](int at, int size) { return at < 0 ? 0 : at < size ? at : size - 1; };
  const int y0 = row * W::kSide, x0 = column * W::kSide, near_y = nearest(y0, norm.h), near_x = nearest(x0, norm.w);
  const int down = (nearest(y0 + 1, norm.h) - near_y) * norm.w * norm.c,
            right = (nearest(x0 + 1, norm.w) - near_x) * norm.c;
  const X* from = norm.x + std::int64_t{(image * norm.h + near_y) * norm.w + near_x} * norm.c + channel;
  float x[W::kSize][4], g[4], mean_g[4], mean_gx[4];
  UNROLL
  for (int p = 0; p < W::kSize; ++p) {
    load_values(x[p], from + (p / W::kSide ? down : 0) + (p % W::kSide ? right : 0));
  }
  const int output = (image * out_h + nearest(row, out_h)) * out_w + nearest(column, out_w);
  load_values(g, grad_output + std::int64_t{output} * norm.c + channel);
  const bool has_output = is_inside(row, column, out_h, out_w);
  UNROLL
  for (int j = 0; j < 4; ++j) g[j] = has_output ? g[j] : 0.0f;
  load_values(mean_g, means + channel);
  load_values(mean_gx, means + norm.c + channel);

  int reached[4];  // which of the window g flows to
  UNROLL
  for (int j = 0; j < 4; ++j) {
    const Winner winner = winner_of(x, k, j);
    reached[j] = !kRelu || winner.y > 0.0f ? winner.index : -1;
  }
  const int padded_h = norm.h + 2 * border, padded_w = norm.w + 2 * border;
  const std::int64_t to = std::int64_t{(image * padded_h + y0 + border) * padded_w + x0 + border} * norm.c + channel;
  UNROLL
  for (int p = 0; p < W::kSize; ++p) {
    const int py = y0 + p / W::kSide, px = x0 + p % W::kSide;
    if (py < -border || py >= norm.h + border || px < -border || px >= norm.w + border) continue;
    float grad[4];
    UNROLL
    for (int j = 0; j < 4; ++j) {
      const float through = reached[j] == p ? g[j] : 0.0f;
      grad[j] = is_inside(py, px, norm.h, norm.w)
                    ? k.scale[j] * (through - mean_g[j] - k.x_hat(x[p][j], j) * mean_gx[j])
                    : 0.0f;
    }
    store_values(grad_x + to + (p / W::kSide * padded_w + p % W::kSide) * norm.c, grad);
  }
}

template <typename X>
std::int64_t windows_of(const BatchNorm<X>& norm) {
  const int side = norm.pool ? 2 : 1;
  require(norm.n > 0 && norm.h / side > 0 && norm.w / side > 0, "batch_norm: the output is empty");
  require(norm.c > 0 && norm.c % kChannels == 0, "batch_norm: channels must be a multiple of 64");
  require(norm.relu || !norm.pool, "batch_norm: pooling has ReLU before it");
  const std::int64_t positions = static_cast<std::int64_t>(norm.n) * (norm.h + 4) * (norm.w + 4);
  require(positions * (norm.c / 4) <= UINT32_MAX - kThreads, "batch_norm: the batch is too large for one launch");
  return static_cast<std::int64_t>(norm.n) * (norm.h / side) * (norm.w / side);
}

// kernel_of(pool, relu), both constants, of the way that gradients go back. G: theirs; only float goes without ReLU.
template <typename G, typename X, typename KernelOf>
auto with_way(const BatchNorm<X>& norm, KernelOf kernel_of) {
  constexpr std::true_type yes;
  constexpr std::false_type no;
  if (norm.pool) return kernel_of(yes, yes);
  if constexpr (std::is_same_v<G, float> && std::is_same_v<X, float>) {
    if (!norm.relu) return kernel_of(no, no);
  }
  require(norm.relu, "batch_norm: ReLU is left out of float alone");
  return kernel_of(no, yes);
}

}  // namespace

std::size_t batch_norm_scratch(std::int64_t positions, int c) {
  const std::int64_t slices = std::min(kMostSlices, (positions + kLeastSlice - 1) / kLeastSlice);
  return static_cast<std::size_t>(slices) * 2 * c;
}

template <typename X>
void batch_moments(double* moments, float* scratch, const X* x, std::int64_t positions, int c, Stream stream) {
  require(positions > 0, "batch_norm: the batch is empty");
  require(c > 0 && c % kChannels == 0, "batch_norm: channels must be a multiple of 64");
  const Slices slices(positions);
  launch({.kernel = "slice_moments",
          .blocks = {static_cast<unsigned>(slices.count), static_cast<unsigned>(c / kChannels)},
          .threads = kThreads},
         stream, slice_moments_kernel<X>, scratch, x, positions, slices.size, c);
  launch({.kernel = "merge_moments", .blocks = {blocks_for(c, kMergedChannels)}, .threads = kMergeThreads}, stream,
         merge_moments_kernel, moments, scratch, positions, slices.size, slices.count, c);
}

void moments_to_totals(double* totals, const double* moments, double count, int c, Stream stream) {
  launch(
      {.kernel = "moments_to_totals", .blocks = {blocks_for(c, kThreads)}, .threads = kThreads, .synchronises = false},
      stream, moments_to_totals_kernel, totals, moments, count, c);
}

void recentre_moments(double* moments, const double* totals, double count, double whole, int c, Stream stream) {
  launch(
      {.kernel = "recentre_moments", .blocks = {blocks_for(c, kThreads)}, .threads = kThreads, .synchronises = false},
      stream, recentre_moments_kernel, moments, totals, count, whole, c);
}

void batch_statistics(float* statistics, float* running_mean, float* running_var, const double* moments, double count,
                      int c, float eps, float momentum, const float* bias, Stream stream) {
  require(count > 1, "batch_norm: the variance of a single value is not defined");
  launch(
      {.kernel = "batch_statistics", .blocks = {blocks_for(c, kThreads)}, .threads = kThreads, .synchronises = false},
      stream, batch_statistics_kernel, statistics, running_mean, running_var, moments, count, c, eps, momentum, bias);
}

template <typename T, typename X>
void batch_norm_relu(T* output, const BatchNorm<X>& norm, Stream stream) {
  const auto items = static_cast<unsigned>(windows_of(norm) * (norm.c / 4));
  launch({.kernel = "batch_norm_relu",
          .blocks = {blocks_for(items, kThreads)},
          .threads = kThreads,
          .synchronises = false},
         stream, norm.pool ? batch_norm_relu_kernel<T, X, true> : batch_norm_relu_kernel<T, X, false>, output, norm,
         items);
}

template <typename X, typename G>
void batch_norm_relu_backward_sums(double* sums, float* grad_scale, float* grad_shift, float* scratch,
                                   const BatchNorm<X>& norm, const G* grad_output, bool accumulate, Stream stream) {
  const std::int64_t windows = windows_of(norm);
  const Slices slices(windows);
  const auto kernel =
      with_way<G>(norm, [](auto pool, auto relu) { return slice_backward_sums_kernel<X, G, pool.value, relu.value>; });
  launch({.kernel = "slice_backward_sums",
          .blocks = {static_cast<unsigned>(slices.count), static_cast<unsigned>(norm.c / kChannels)},
          .threads = kThreads},
         stream, kernel, scratch, norm, grad_output, windows, slices.size);
  launch({.kernel = "merge_backward_sums", .blocks = {blocks_for(norm.c, kMergedChannels)}, .threads = kMergeThreads},
         stream, merge_backward_sums_kernel, sums, grad_scale, grad_shift, scratch, slices.count, norm.c, accumulate);
}

template <typename T, typename X>
void batch_norm_relu_backward(T* grad_x, float* scratch, const BatchNorm<X>& norm, const Stored<T>* grad_output,
                              const double* sums, double count, int border, Stream stream) {
  windows_of(norm);
  require(border == 0 || border == 1, "batch_norm: the border is one position wide, or none");
  const auto kernel = with_way<T>(
      norm, [](auto pool, auto relu) { return batch_norm_relu_backward_kernel<T, X, pool.value, relu.value>; });
  launch({.kernel = "mean", .blocks = {blocks_for(2 * norm.c, kThreads)}, .threads = kThreads, .synchronises = false},
         stream, mean_kernel, scratch, sums, count, 2 * norm.c);
  const int side = norm.pool ? 2 : 1;
  const unsigned windows_h = border + blocks_for(norm.h + border, side);
  const unsigned windows_w = border + blocks_for(norm.w + border, side);
  const unsigned items = norm.n * windows_h * windows_w * (norm.c / 4);
  launch({.kernel = "batch_norm_relu_backward",
          .blocks = {blocks_for(items, kThreads)},
          .threads = kThreads,
          .synchronises = false},
         stream, kernel, grad_x, scratch, norm, grad_output, border, windows_h, windows_w, items);
}

template void batch_moments(double*, float*, const float*, std::int64_t, int, Stream);
template void batch_moments(double*, float*, const Bfloat16*, std::int64_t, int, Stream);
#define LFM_BATCH_NORM(T, X)                                                                                       \
  template void batch_norm_relu(T*, const BatchNorm<X>&, Stream);                                                  \
  template void batch_norm_relu_backward(T*, float*, const BatchNorm<X>&, const Stored<T>*, const double*, double, \
                                         int, Stream)
LFM_BATCH_NORM(float, float);
LFM_BATCH_NORM(Tf32, float);
LFM_BATCH_NORM(Bfloat16, float);
LFM_BATCH_NORM(Bfloat16, Bfloat16);
#undef LFM_BATCH_NORM
#define LFM_BACKWARD_SUMS(X, G)                                                                                     \
  template void batch_norm_relu_backward_sums(double*, float*, float*, float*, const BatchNorm<X>&, const G*, bool, \
                                              Stream)
LFM_BACKWARD_SUMS(float, float);
LFM_BACKWARD_SUMS(float, Bfloat16);
LFM_BACKWARD_SUMS(Bfloat16, Bfloat16);
#undef LFM_BACKWARD_SUMS

}  // namespace lfm::kernels::inline LFM_TARGET
