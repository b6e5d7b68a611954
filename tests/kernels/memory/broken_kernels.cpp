#include "tests/kernels/memory/broken_kernels.h"

#include "kernels/device.cuh"
#include "kernels/launch.h"

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
  if (i < n)
    out[kVariant == Copy::every_block ? i % 64 : i] = x[kVariant == Copy::one_too_many && i == n - 1 ? n : i];
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
  launch({.kernel = "transpose", .blocks = {}, .threads = 256}, nullptr, kernels[static_cast<int>(variant)],
         transposed, matrix);
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
         variant == Rotation::right ? rotate_kernel<Rotation::right> : rotate_kernel<Rotation::with_a_vote>,
         out, x);
}

void copy_rows(Rows variant, float* out, const float* x) {
  launch({.kernel = "copy_rows", .blocks = {}, .threads = 64}, nullptr,
         variant == Rows::right ? copy_rows_kernel<Rows::right> : copy_rows_kernel<Rows::wrong_swizzle>, out,
         x);
}

}  // namespace lfm::kernels::inline LFM_TARGET
