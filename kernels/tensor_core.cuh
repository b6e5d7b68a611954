// The vocabulary of kernels that use tensor cores: fragments, asynchronous copies. With device.cuh the only place with
// inline PTX; the emulated half is simt/tensor_core.h. Fragment layouts are those of the PTX ISA ("Matrix fragments for
// mma.m16n8k16" and the like).
//
//   Chunk                        16 bytes: 8 halves or 4 TF32
//   mma<T>(c, a, b0, b1)           c[16][8] += a[16][K] b[K][8], K = 16 halves or 8 TF32: 32 bytes. With g = lane / 4,
//                                  t = lane % 4 a lane holds
//                                 c: rows g, g, g+8, g+8, columns 2t, 2t+1, 2t, 2t+1
//                                 a: words t of rows g, g+8, words t+4 of rows g, g+8
//                                 (a word: two halves or one TF32)
//                                 b: words t and t+4 of column g
//   mma_k8(c, a, b)              the same for 8 halves, words t alone: all that sm_75 has
//   ldmatrix(r, row)             count of r = 1, 2, 4 matrices of 8 rows of 16 bytes in shared memory; lane 8i + j
//                                names row j of matrix i, and gets word t of row g of each. So it loads a and b of
//                                every T from rows that run along K.
//   ldmatrix_transposed(r, row)   the same for 2-byte elements: elements (2t, g) and (2t+1, g) of each
//   copy_async(shared, global, valid), commit_copies(), wait_copies<pending>()
//                                16 bytes to shared memory, zeros if not valid; visible to the thread that waited, and
//                                to others after a barrier. sm_75 has none: there the copy is an ordinary one, through
//                                registers.
//   UNROLL_COPIES                before a loop of them: unrolled, but where each takes registers
//   copy_async_cached            the same, and the sectors stay in L1: for those that are not used up
//   chunk_at(chunks, bytes)      the chunk of a shared array that lies so many bytes, a multiple of 16, behind the
//                                first: an offset kept in bytes is added by the instruction that uses it
//   encode<T>(values)           4 / sizeof(T) floats, rounded, in a word
//   decode<T>(values, word)     these floats again
//   load_chunk, store_chunk,
//   store_words                  16 bytes of global memory; two words
//   load_values, store_values    four floats side by side: of T, or as they are; rounded to T, or as they are
#pragma once

#include "kernels/device.cuh"
#include "kernels/element.h"

namespace lfm::kernels::inline LFM_TARGET {

struct alignas(16) Chunk {
  std::uint32_t word[4];
};

}  // namespace lfm::kernels::inline LFM_TARGET

#if defined(__CUDACC__)

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace lfm::kernels::inline LFM_TARGET {

template <typename T>
__device__ __forceinline__ std::uint32_t encode(const float* v);
template <>
__device__ __forceinline__ std::uint32_t encode<Half>(const float* v) {
  const __half2 pair = __floats2half2_rn(v[0], v[1]);
  return static_cast<std::uint32_t>(__half_as_ushort(__high2half(pair))) << 16 | __half_as_ushort(__low2half(pair));
}
template <>
__device__ __forceinline__ std::uint32_t encode<Bfloat16>(const float* v) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(v[0], v[1]);
  return static_cast<std::uint32_t>(__bfloat16_as_ushort(__high2bfloat16(pair))) << 16 |
         __bfloat16_as_ushort(__low2bfloat16(pair));
}
template <>
__device__ __forceinline__ std::uint32_t encode<Tf32>(const float* v) {
  std::uint32_t word = 0;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(v[0]));
#endif
  return word;
}

template <typename T>
__device__ __forceinline__ void decode(float* v, std::uint32_t word);
template <>
__device__ __forceinline__ void decode<Half>(float* v, std::uint32_t word) {
  v[0] = __half2float(__ushort_as_half(static_cast<std::uint16_t>(word)));
  v[1] = __half2float(__ushort_as_half(static_cast<std::uint16_t>(word >> 16)));
}
template <>
__device__ __forceinline__ void decode<Bfloat16>(float* v, std::uint32_t word) {
  v[0] = __uint_as_float(word << 16);
  v[1] = __uint_as_float(word & 0xffff0000u);
}
template <>
__device__ __forceinline__ void decode<Tf32>(float* v, std::uint32_t word) {
  v[0] = __uint_as_float(word);
}

__device__ __forceinline__ void mma_k8(float (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b) {
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a0), "r"(a1), "r"(b));
}

#define LFM_MMA(shape_and_types)                                                                   \
  asm("mma.sync.aligned." shape_and_types " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                             \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))

template <typename T>
__device__ __forceinline__ void mma(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
template <>
__device__ __forceinline__ void mma<Half>(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                          std::uint32_t b1) {
  mma_k8(c, a[0], a[1], b0);
  mma_k8(c, a[2], a[3], b1);
}
// Turing multiplies FP16 alone; the engine refuses the other two there.
template <>
__device__ __forceinline__ void mma<Bfloat16>(float (&)[4], const std::uint32_t (&)[4], std::uint32_t, std::uint32_t) {
  __trap();
}
template <>
__device__ __forceinline__ void mma<Tf32>(float (&)[4], const std::uint32_t (&)[4], std::uint32_t, std::uint32_t) {
  __trap();
}
#else
template <>
__device__ __forceinline__ void mma<Half>(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                          std::uint32_t b1) {
  LFM_MMA("m16n8k16.row.col.f32.f16.f16.f32");
}
template <>
__device__ __forceinline__ void mma<Bfloat16>(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                              std::uint32_t b1) {
  LFM_MMA("m16n8k16.row.col.f32.bf16.bf16.f32");
}
template <>
__device__ __forceinline__ void mma<Tf32>(float (&c)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                                          std::uint32_t b1) {
  LFM_MMA("m16n8k8.row.col.f32.tf32.tf32.f32");
}
#endif
#undef LFM_MMA

__device__ __forceinline__ std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

template <typename Chunks>
__device__ __forceinline__ const Chunk* chunk_at(Chunks& chunks, unsigned bytes) {
  return reinterpret_cast<const Chunk*>(reinterpret_cast<const char*>(&chunks[0]) + bytes);
}

__device__ __forceinline__ void ldmatrix(std::uint32_t (&r)[1], const Chunk* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
               : "=r"(r[0])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix(std::uint32_t (&r)[2], const Chunk* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix(std::uint32_t (&r)[4], const Chunk* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_transposed(std::uint32_t (&r)[1], const Chunk* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
               : "=r"(r[0])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_transposed(std::uint32_t (&r)[2], const Chunk* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_transposed(std::uint32_t (&r)[4], const Chunk* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define UNROLL_COPIES ROLLED
__device__ __forceinline__ void copy_async(Chunk* shared, const void* global, bool valid) {
  uint4 v{};
  if (valid) v = *static_cast<const uint4*>(global);
  *reinterpret_cast<uint4*>(shared) = v;
}
__device__ __forceinline__ void copy_async_cached(Chunk* shared, const void* global, bool valid) {
  copy_async(shared, global, valid);
}
__device__ __forceinline__ void commit_copies() {}
template <int kPending>
__device__ __forceinline__ void wait_copies() {}
#else
#define UNROLL_COPIES UNROLL
__device__ __forceinline__ void copy_async(Chunk* shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void copy_async_cached(Chunk* shared, const void* global, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}
#endif

__device__ __forceinline__ Chunk load_chunk(const void* p) {
  const uint4 v = *static_cast<const uint4*>(p);
  return {{v.x, v.y, v.z, v.w}};
}
__device__ __forceinline__ void store_chunk(void* p, const Chunk& v) {
  *static_cast<uint4*>(p) = make_uint4(v.word[0], v.word[1], v.word[2], v.word[3]);
}
__device__ __forceinline__ void store_words(void* p, std::uint32_t first, std::uint32_t second) {
  *static_cast<uint2*>(p) = make_uint2(first, second);
}

}  // namespace lfm::kernels::inline LFM_TARGET

#else
#include "kernels/simt/tensor_core.h"
#endif

namespace lfm::kernels::inline LFM_TARGET {

__device__ __forceinline__ void store_values(float* p, const float (&v)[4]) { store4(p, {v[0], v[1], v[2], v[3]}); }

__device__ __forceinline__ void load_values(float (&v)[4], const float* p) {
  const float4 four = load4(p);
  v[0] = four.x, v[1] = four.y, v[2] = four.z, v[3] = four.w;
}
__device__ __forceinline__ void load_values(float (&v)[4], const Bfloat16* p) {
  const float2 words = load2(reinterpret_cast<const float*>(p));
  const std::uint32_t low = float_bits(words.x), high = float_bits(words.y);
  v[0] = bits_float(low << 16), v[1] = bits_float(low & 0xffff0000u);
  v[2] = bits_float(high << 16), v[3] = bits_float(high & 0xffff0000u);
}

template <typename T>
__device__ __forceinline__ void store_values(T* p, const float (&v)[4]) {
  if constexpr (kPerWord<T> == 2) {
    store_words(p, encode<T>(&v[0]), encode<T>(&v[2]));
  } else {
    store_chunk(p, {{encode<T>(&v[0]), encode<T>(&v[1]), encode<T>(&v[2]), encode<T>(&v[3])}});
  }
}

}  // namespace lfm::kernels::inline LFM_TARGET
