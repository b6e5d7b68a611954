// join: y = max(0, scale * x_hat + shift + shortcut), the shortcut as it is or normalised likewise (batch_norm.cuh).
//   x, shortcut [n][h][w][c]   ->   output [n][h][w][c]
// join_backward: grad = output > 0 ? grad : 0. Batch norm's own backward then goes without ReLU, and where the shortcut
// is the bottleneck's input, this is its gradient.
// One thread four channels of a position, 256 a block; consecutive threads take consecutive channels. Nothing is
// shared.
#include "kernels/batch_norm.cuh"
#include "kernels/join.h"
#include "kernels/launch.h"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kThreads = 256;

/// norm2: of the shortcut, where it has one.
template <bool kNormed>
__global__ void __launch_bounds__(kThreads)
    join_kernel(float* __restrict__ output, BatchNorm<float> norm, const float* __restrict__ shortcut,
                BatchNorm<float> norm2, unsigned items) {
  const auto i = static_cast<unsigned>(item_index(kThreads));
  if (i >= items) return;
  const int channel = static_cast<int>(i % (norm.c / 4)) * 4;
  float x[4], add[4], y[4];
  load_values(x, norm.x + std::int64_t{i} * 4);
  load_values(add, shortcut + std::int64_t{i} * 4);
  const NormCoefficients k(norm, channel);
  if constexpr (kNormed) {
    const NormCoefficients k2(norm2, channel);
    UNROLL
    for (int j = 0; j < 4; ++j) add[j] = k2.y(add[j], j);
  }
  UNROLL
  for (int j = 0; j < 4; ++j) y[j] = relu_of_norm(k.y(x[j], j) + add[j]);
  store_values(output + std::int64_t{i} * 4, y);
}

__global__ void __launch_bounds__(kThreads)
    join_backward_kernel(float* __restrict__ grad, const float* __restrict__ output, unsigned items) {
  const auto i = static_cast<unsigned>(item_index(kThreads));
  if (i >= items) return;
  float g[4], y[4];
  load_values(g, grad + std::int64_t{i} * 4);
  load_values(y, output + std::int64_t{i} * 4);
  UNROLL
  for (int j = 0; j < 4; ++j) g[j] = y[j] > 0.0f ? g[j] : 0.0f;
  store_values(grad + std::int64_t{i} * 4, g);
}

unsigned items_of(std::int64_t values) {
  require(values > 0 && values % 4 == 0, "join: values must be a multiple of 4");
  require(values / 4 <= UINT32_MAX - kThreads, "join: the batch is too large for one launch");
  return static_cast<unsigned>(values / 4);
}

template <bool kNormed>
void launch_join(float* output, const BatchNorm<float>& norm, const float* shortcut, const BatchNorm<float>& norm2,
                 Stream stream) {
  require(norm.c > 0 && norm.c % 4 == 0, "join: channels must be a multiple of 4");
  const unsigned items = items_of(static_cast<std::int64_t>(norm.n) * norm.h * norm.w * norm.c);
  launch({.kernel = "join", .blocks = {blocks_for(items, kThreads)}, .threads = kThreads, .synchronises = false},
         stream, join_kernel<kNormed>, output, norm, shortcut, norm2, items);
}

}  // namespace

void join(float* output, const BatchNorm<float>& norm, const float* shortcut, Stream stream) {
  launch_join<false>(output, norm, shortcut, {}, stream);
}

void join(float* output, const BatchNorm<float>& norm, const BatchNorm<float>& shortcut, Stream stream) {
  require(shortcut.n == norm.n && shortcut.h == norm.h && shortcut.w == norm.w && shortcut.c == norm.c,
          "join: the shortcut has another shape");
  launch_join<true>(output, norm, shortcut.x, shortcut, stream);
}

void join_backward(float* grad, const float* output, std::size_t count, Stream stream) {
  const unsigned items = items_of(static_cast<std::int64_t>(count));
  launch(
      {.kernel = "join_backward", .blocks = {blocks_for(items, kThreads)}, .threads = kThreads, .synchronises = false},
      stream, join_backward_kernel, grad, output, items);
}

}  // namespace lfm::kernels::inline LFM_TARGET
