// The vocabulary of the kernels, and the only place with intrinsics and inline PTX. Each word means the same on the GPU
// and in the emulation (simt/device.h), which also checks it: masks, shared indices, alignment.
//
//   SHARED_ARRAY(float, tile, 8, 132)      __shared__ float tile[8][132], 16-byte aligned, at the top of a kernel
//   dynamic_shared<Layout>()             the block's dynamic shared memory as a struct of Shared<float, 8, 132> and the
//                                        like, aligned to 128 bytes; the launcher asks for sizeof(Layout)
//   UNROLL, ROLLED                       before a loop of constant length; before one whose unrolling would take too
//                                        many registers
//   sync_block(), sync_warp(mask)        barriers
//   shuffle, shuffle_up/down/xor, ballot the mask comes first; kAllLanes for a whole warp
//   load4, store4, load2, store2           128-bit accesses, aligned to 16 bytes; 64-bit, to 8
//   thread_index(), warp_index(), ...      where a thread is: below, after the intrinsics
//   cluster_size(), cluster_rank()         the blocks of the block's cluster (launch.h), and its number among them
//   maximum                        of two floats; NaN if either is
//   multiply_add(a, b, c)          a b + c, rounded once: where kernels must agree in every bit, so that it is not left
//                                  to the compiler what it contracts
//   count_bits, lowest_bit, float_bits, bits_float
#pragma once

#if defined(__CUDACC__)

#include <cstdint>

#include "kernels/target.h"

#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("unroll 1")
#define SHARED_ARRAY(item, name, ...) \
  __shared__ alignas(16) typename ::lfm::kernels::ArrayOf<item, __VA_ARGS__>::type name

namespace lfm::kernels {

template <typename T, int extent, int... more>
struct ArrayOf {
  using type = typename ArrayOf<T, more...>::type[extent];
};
template <typename T, int extent>
struct ArrayOf<T, extent> {
  using type = T[extent];
};

inline namespace LFM_TARGET {

template <typename T, int... extents>
using Shared = typename ArrayOf<T, extents...>::type;

template <typename Layout>
__device__ __forceinline__ Layout& dynamic_shared() {
  extern __shared__ __align__(128) unsigned char lfm_dynamic_shared[];
  return *reinterpret_cast<Layout*>(lfm_dynamic_shared);
}

__device__ __forceinline__ int cluster_size() {
  unsigned blocks = 1;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(blocks));
#endif
  return static_cast<int>(blocks);
}
__device__ __forceinline__ int cluster_rank() {
  unsigned rank = 0;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm("mov.u32 %0, %%cluster_ctaid.x;" : "=r"(rank));
#endif
  return static_cast<int>(rank);
}

__device__ __forceinline__ void sync_block() { __syncthreads(); }
__device__ __forceinline__ void sync_warp(std::uint32_t mask) { __syncwarp(mask); }

template <typename T>
__device__ __forceinline__ T shuffle(std::uint32_t mask, T value, int source) {
  return __shfl_sync(mask, value, source);
}
template <typename T>
__device__ __forceinline__ T shuffle_up(std::uint32_t mask, T value, int delta) {
  return __shfl_up_sync(mask, value, static_cast<unsigned>(delta));
}
template <typename T>
__device__ __forceinline__ T shuffle_down(std::uint32_t mask, T value, int delta) {
  return __shfl_down_sync(mask, value, static_cast<unsigned>(delta));
}
template <typename T>
__device__ __forceinline__ T shuffle_xor(std::uint32_t mask, T value, int bits) {
  return __shfl_xor_sync(mask, value, bits);
}
__device__ __forceinline__ std::uint32_t ballot(std::uint32_t mask, bool predicate) {
  return __ballot_sync(mask, predicate);
}

__device__ __forceinline__ float4 load4(const float* p) { return *reinterpret_cast<const float4*>(p); }
__device__ __forceinline__ float2 load2(const float* p) { return *reinterpret_cast<const float2*>(p); }
__device__ __forceinline__ void store4(float* p, const float4& v) { *reinterpret_cast<float4*>(p) = v; }
__device__ __forceinline__ void store2(float* p, const float2& v) { *reinterpret_cast<float2*>(p) = v; }

__device__ __forceinline__ float maximum(float a, float b) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  float larger;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(larger) : "f"(a), "f"(b));
  return larger;
#else
  return a > b || a != a ? a : b;
#endif
}
__device__ __forceinline__ float multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
__device__ __forceinline__ int count_bits(std::uint32_t v) { return __popc(v); }
__device__ __forceinline__ int lowest_bit(std::uint32_t v) { return __ffs(static_cast<int>(v)) - 1; }
__device__ __forceinline__ std::uint32_t float_bits(float v) { return __float_as_uint(v); }
__device__ __forceinline__ float bits_float(std::uint32_t v) { return __uint_as_float(v); }

}  // namespace LFM_TARGET
}  // namespace lfm::kernels

#else
#include "kernels/simt/device.h"
#endif

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kWarp = 32;
inline constexpr std::uint32_t kAllLanes = 0xffffffffu;

// Blocks have threads along x alone; a grid's y and z are rows and layers of blocks.
__device__ __forceinline__ int thread_index() { return static_cast<int>(threadIdx.x); }
__device__ __forceinline__ int lane_index() { return static_cast<int>(threadIdx.x % kWarp); }
__device__ __forceinline__ int warp_index() { return static_cast<int>(threadIdx.x / kWarp); }
__device__ __forceinline__ int block_index() { return static_cast<int>(blockIdx.x); }
__device__ __forceinline__ int block_row() { return static_cast<int>(blockIdx.y); }
__device__ __forceinline__ int block_layer() { return static_cast<int>(blockIdx.z); }
__device__ __forceinline__ int blocks_across() { return static_cast<int>(gridDim.x); }

// Of what a row of blocks shares out, an item a thread. The wide one where there may be 2^31 or more.
__device__ __forceinline__ int item_index(unsigned threads) {
  return static_cast<int>(blockIdx.x * threads + threadIdx.x);
}
__device__ __forceinline__ std::int64_t wide_item_index(int threads) {
  return static_cast<std::int64_t>(blockIdx.x) * threads + threadIdx.x;
}

__device__ __forceinline__ float relu(float v) { return maximum(v, 0.0f); }

/// The sum over the warp, in every lane: a butterfly, so the order is fixed.
template <typename T>
__device__ __forceinline__ T warp_sum(T value) {
  UNROLL
  for (int bits = kWarp / 2; bits > 0; bits /= 2) value += shuffle_xor(kAllLanes, value, bits);
  return value;
}

}  // namespace lfm::kernels::inline LFM_TARGET
