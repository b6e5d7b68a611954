#include "tests/kernels/memory/broken_kernels.h"

#include "kernels/device.cuh"
#include "kernels/launch.h"
#include "kernels/tensor_core.cuh"

namespace lfm::kernels::inline LFM_TARGET {

namespace {

constexpr int kTile = 32;

template <Transpose kVariant>
__global__ void transpose_kernel(float* transposed, const float* matrix) {
  SHARED_ARRAY(float, tile, kTile, kTile + (kVariant == Transpose::without_padding ? 0 : 1));
  const int across = lane_index();
  for (int i = warp_index(); i < kTile; i += 8) {
    if (kVariant == Transpose::reading_a_gap && across == 7) continue;
    tile[i][across] = matrix[i * kTile + across];
  }
  if (kVariant != Transpose::without_barrier) sync_block();
  for (int i = warp_index(); i < kTile; i += 8) transposed[i * kTile + across] = tile[across][i];
}

template <Copy kVariant>
__global__ void copy_kernel(float* out, const float* x, int n) {
  int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (kVariant == Copy::strided) i = static_cast<int>(threadIdx.x * gridDim.x + blockIdx.x);
  if (i < n) out[kVariant == Copy::every_block ? i % 64 : i] = x[kVariant == Copy::one_too_many && i == n - 1 ? n : i];
}

template <Rotation kVariant>
__global__ void rotate_kernel(float* out, const float* x) {
  SHARED_ARRAY(float, values, 64);
  const int thread = static_cast<int>(threadIdx.x);
  values[thread] = x[thread];
  if (kVariant == Rotation::right) {
    sync_warp(kAllLanes);
  } else {
    ballot(kAllLanes, true);
  }
  out[thread] = values[warp_index() * kWarp + (lane_index() + 1) % kWarp];
}

template <AsyncCopy kVariant>
__global__ void copy_backwards_kernel(float* out, const float* x) {
  SHARED_ARRAY(Chunk, tile, 64);
  const int thread = static_cast<int>(threadIdx.x), other = 31 - thread;
  for (int half = 0; half < 2; ++half) {  // 32 threads, two groups of copies
    copy_async(&tile[32 * half + thread], x + 4 * (32 * half + thread), true);
    commit_copies();
  }
  if (kVariant == AsyncCopy::waiting_for_too_few) {
    wait_copies<1>();
  } else if (kVariant != AsyncCopy::without_wait) {
    wait_copies<0>();
  }
  if (kVariant != AsyncCopy::without_barrier) sync_block();
  for (int half = 0; half < 2; ++half) {
    const Chunk own = tile[32 * half + other];
    for (int i = 0; i < 4; ++i) out[4 * (32 * (1 - half) + thread) + i] = bits_float(own.word[3 - i]);
  }
  if (kVariant == AsyncCopy::overwritten_early) {
    copy_async(&tile[thread], x, true);
    commit_copies();
    wait_copies<0>();
  }
}

template <Rows kVariant>
__global__ void copy_rows_kernel(float* out, const float* x) {
  SHARED_ARRAY(float, patch, 64, 16);
  const int row = static_cast<int>(threadIdx.x);
  const auto quarter = [&](int q) { return (q ^ (row >> (kVariant == Rows::right ? 1 : 3) & 3)) * 4; };
  for (int q = 0; q < 4; ++q) store4(&patch[row][quarter(q)], load4(x + row * 16 + q * 4));
  sync_block();
  for (int q = 0; q < 4; ++q) store4(out + row * 16 + q * 4, load4(&patch[row][quarter(q)]));
}

}  // namespace

void transpose(Transpose variant, float* transposed, const float* matrix) {
  void (*const kernels[])(float*, const float*) = {
      transpose_kernel<Transpose::right>, transpose_kernel<Transpose::without_barrier>,
      transpose_kernel<Transpose::without_padding>, transpose_kernel<Transpose::reading_a_gap>};
  launch({.kernel = "transpose", .blocks = {}, .threads = 256}, nullptr, kernels[static_cast<int>(variant)], transposed,
         matrix);
}

void copy(Copy variant, float* out, const float* x, int n) {
  void (*const kernels[])(float*, const float*, int) = {copy_kernel<Copy::right>, copy_kernel<Copy::strided>,
                                                        copy_kernel<Copy::one_too_many>,
                                                        copy_kernel<Copy::every_block>};
  launch({.kernel = "copy", .blocks = {blocks_for(n, 64)}, .threads = 64, .synchronises = false}, nullptr,
         kernels[static_cast<int>(variant)], out, x, n);
}

void rotate(Rotation variant, float* out, const float* x) {
  launch({.kernel = "rotate", .blocks = {}, .threads = 64}, nullptr,
         variant == Rotation::right ? rotate_kernel<Rotation::right> : rotate_kernel<Rotation::with_a_vote>, out, x);
}

void copy_backwards(AsyncCopy variant, float* out, const float* x) {
  void (*const kernels[])(float*, const float*) = {
      copy_backwards_kernel<AsyncCopy::right>, copy_backwards_kernel<AsyncCopy::without_wait>,
      copy_backwards_kernel<AsyncCopy::without_barrier>, copy_backwards_kernel<AsyncCopy::waiting_for_too_few>,
      copy_backwards_kernel<AsyncCopy::overwritten_early>};
  launch({.kernel = "copy_backwards", .blocks = {}, .threads = 32}, nullptr, kernels[static_cast<int>(variant)], out,
         x);
}

void copy_rows(Rows variant, float* out, const float* x) {
  launch({.kernel = "copy_rows", .blocks = {}, .threads = 64}, nullptr,
         variant == Rows::right ? copy_rows_kernel<Rows::right> : copy_rows_kernel<Rows::wrong_swizzle>, out, x);
}

}  // namespace lfm::kernels::inline LFM_TARGET
