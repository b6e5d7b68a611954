// The vocabulary of Hopper's tensor cores (sm_90a): products that a warpgroup of 128 threads issues and waits for
// later, reading both matrices from shared memory; copies of whole stages that one thread starts; barriers that count
// what has arrived. With device.cuh and tensor_core.cuh the only place with inline PTX; the emulated half is
// simt/warpgroup.h. After the PTX ISA, "Asynchronous warpgroup level matrix instructions" and "Async proxy".
//
//   Matrix                         of rows that run along K, in shared memory, without swizzling: eight rows' chunks of
//                                  16 bytes lie side by side. matrix(first, of_chunks, of_rows): the second chunk of a
//                                  row lies of_chunks behind the first, the next eight rows of_rows behind these, in
//                                  chunks. matrix + n: the same n chunks further
//   multiply_async<T>(c, a, b)     c[64][128] += a[64][K] b[128][K]^T, K = 32 bytes. Warp i of the warpgroup has rows
//                                  16i to 16i + 15, eight columns in four consecutive sums, as mma has them
//   multiply_async<T>(c, words, b) c[64][64] += a[64][K] b[64][K]^T, a in words of registers as mma has them, which
//                                  stay as they are until waited for
//   begin_products()               before the first of some products, after anything else that touched sums
//   commit_products(), wait_products<pending>(sums...)
//                                  closes a group; waits for all but so many groups. Until then neither sums nor the
//                                  matrices' memory may be touched. Of the waiting thread's warpgroup alone
//   fence_async_proxy()            what this thread has stored to shared memory, copies it has waited for among it, is
//                                  then seen by products and bulk copies, after a barrier by those of other threads
//   Barrier, init_barrier(b)       in shared memory; one thread, before a fence and a block's barrier. A phase ends
//                                  when expect_bytes() was called once and so many bytes have arrived
//   copy_bulk(shared, global, bytes, barrier)
//                                  a multiple of 16 bytes; one thread
//   wait_barrier(b, parity)        until the phase of that parity, 0 for the first, has ended
#pragma once

#include "kernels/tensor_core.cuh"

namespace lfm::kernels::inline LFM_TARGET {

inline constexpr int kWarpgroup = 128;
inline constexpr int kProductColumns = 128;
inline constexpr int kProductRows = 64;

}  // namespace lfm::kernels::inline LFM_TARGET

#if defined(__CUDACC__)

namespace lfm::kernels::inline LFM_TARGET {

struct alignas(8) Barrier {
  std::uint64_t state;
};

__device__ __forceinline__ void init_barrier(Barrier& barrier) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&barrier)) : "memory");
}
__device__ __forceinline__ void expect_bytes(Barrier& barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(&barrier)), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void wait_barrier(Barrier& barrier, unsigned parity) {
  unsigned ended;
  do {
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                 : "=r"(ended)
                 : "r"(shared_address(&barrier)), "r"(parity)
                 : "memory");
  } while (ended == 0);
}
__device__ __forceinline__ void copy_bulk(Chunk* shared, const void* global, unsigned bytes, Barrier& barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(shared)),
               "l"(global), "r"(bytes), "r"(shared_address(&barrier))
               : "memory");
}
__device__ __forceinline__ void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// A matrix descriptor: the address, of_chunks ("leading dimension byte offset") and of_rows ("stride dimension byte
/// offset"), each divided by 16; no swizzling.
struct Matrix {
  std::uint64_t descriptor;
};
__device__ __forceinline__ Matrix matrix(const Chunk* first, int of_chunks, int of_rows) {
  return {shared_address(first) / sizeof(Chunk) | static_cast<std::uint64_t>(of_chunks) << 16 |
          static_cast<std::uint64_t>(of_rows) << 32};
}
__device__ __forceinline__ Matrix operator+(const Matrix& m, int chunks) {
  return {m.descriptor + static_cast<unsigned>(chunks)};
}

__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/// Keeps the compiler from moving what it does with sums to before the wait.
template <int kCount>
__device__ __forceinline__ void settle(float (&sums)[kCount]) {
  UNROLL
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(sums[i])::"memory");
}
template <int kPending, typename... Sums>
__device__ __forceinline__ void wait_products(Sums&... sums) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
  (settle(sums), ...);
}

#define LFM_SUMS_8(at)                                                                                               \
  "+f"(c[at]), "+f"(c[at + 1]), "+f"(c[at + 2]), "+f"(c[at + 3]), "+f"(c[at + 4]), "+f"(c[at + 5]), "+f"(c[at + 6]), \
      "+f"(c[at + 7])
#define LFM_WGMMA(shape_and_types, signs_and_orders)                                                                  \
  asm volatile("wgmma.mma_async.sync.aligned." shape_and_types                                                        \
               " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26," \
               "%27,%28,%29,%30,%31,%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51," \
               "%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, 1" signs_and_orders ";"                   \
               : LFM_SUMS_8(0), LFM_SUMS_8(8), LFM_SUMS_8(16), LFM_SUMS_8(24), LFM_SUMS_8(32), LFM_SUMS_8(40),        \
                 LFM_SUMS_8(48), LFM_SUMS_8(56)                                                                       \
               : "l"(a.descriptor), "l"(b.descriptor))

template <typename T>
__device__ __forceinline__ void multiply_async(float (&c)[64], const Matrix& a, const Matrix& b);
template <>
__device__ __forceinline__ void multiply_async<Half>(float (&c)[64], const Matrix& a, const Matrix& b) {
  LFM_WGMMA("m64n128k16.f32.f16.f16", ", 1, 1, 0, 0");
}
template <>
__device__ __forceinline__ void multiply_async<Bfloat16>(float (&c)[64], const Matrix& a, const Matrix& b) {
  LFM_WGMMA("m64n128k16.f32.bf16.bf16", ", 1, 1, 0, 0");
}
template <>
__device__ __forceinline__ void multiply_async<Tf32>(float (&c)[64], const Matrix& a, const Matrix& b) {
  LFM_WGMMA("m64n128k8.f32.tf32.tf32", ", 1, 1");
}
#undef LFM_WGMMA

#define LFM_WGMMA(shape_and_types, signs_and_orders)                                                                  \
  asm volatile("wgmma.mma_async.sync.aligned." shape_and_types                                                        \
               " {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26," \
               "%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, %36, 1" signs_and_orders ";"                                 \
               : LFM_SUMS_8(0), LFM_SUMS_8(8), LFM_SUMS_8(16), LFM_SUMS_8(24)                                         \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b.descriptor))

template <typename T>
__device__ __forceinline__ void multiply_async(float (&c)[32], const std::uint32_t (&a)[4], const Matrix& b);
template <>
__device__ __forceinline__ void multiply_async<Half>(float (&c)[32], const std::uint32_t (&a)[4], const Matrix& b) {
  LFM_WGMMA("m64n64k16.f32.f16.f16", ", 1, 1, 0");
}
template <>
__device__ __forceinline__ void multiply_async<Bfloat16>(float (&c)[32], const std::uint32_t (&a)[4], const Matrix& b) {
  LFM_WGMMA("m64n64k16.f32.bf16.bf16", ", 1, 1, 0");
}
template <>
__device__ __forceinline__ void multiply_async<Tf32>(float (&c)[32], const std::uint32_t (&a)[4], const Matrix& b) {
  LFM_WGMMA("m64n64k8.f32.tf32.tf32", ", 1, 1");
}
#undef LFM_WGMMA
#undef LFM_SUMS_8

}  // namespace lfm::kernels::inline LFM_TARGET

#else
#include "kernels/simt/warpgroup.h"
#endif
