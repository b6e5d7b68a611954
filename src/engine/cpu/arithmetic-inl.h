// The arithmetics of the vector kernels: how activations, transformed inputs and weights are kept, and how products are
// summed.
//
//   Fp32           as they are; a multiply-add
//   Bf16Emulated   BF16, two to a word of 32 bits; sums are FP32. c + odd a * odd b, then + even a * even b: products
//                  of BF16 values are exact in FP32, so each step rounds once
//   Bf16Native     the same by AVX512_BF16, two products an instruction; but for denormals, which it takes for zero,
//                  the same bits
//
// Names have no suffix where FP32 is meant: a Vec is a vector of floats.
#if defined(LFM_CPU_ARITHMETIC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_ARITHMETIC_INL_H_
#undef LFM_CPU_ARITHMETIC_INL_H_
#else
#define LFM_CPU_ARITHMETIC_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "src/engine/cpu/kernels.h"

// Highway before 1.0.4 knows no target that has AVX512_BF16. Templates on an arithmetic carry this attribute in place
// of HWY_ATTR, which allows it to the AVX-512 target; whether Bf16Native runs is asked of the processor (kernels.cpp).
#undef LFM_CPU_HAVE_BF16
#undef LFM_CPU_ATTR
#if HWY_TARGET == HWY_AVX3 && !HWY_COMPILER_MSVC
#define LFM_CPU_HAVE_BF16 1
#define LFM_CPU_ATTR __attribute__((target(HWY_TARGET_STR ",avx512bf16")))
#else
#define LFM_CPU_HAVE_BF16 0
#define LFM_CPU_ATTR HWY_ATTR
#endif

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using U32 = hn::ScalableTag<std::uint32_t>;
using U16 = hn::Rebind<std::uint16_t, F32>;  // as many lanes
using Vec = hn::Vec<F32>;
inline constexpr std::size_t kLanes = hn::MaxLanes(F32());

/// max(0, v), but NaN stays NaN, which hn::Max promises nowhere.
HWY_INLINE HWY_ATTR Vec relu(Vec v) { return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(F32())), v); }

struct Fp32 {
  static constexpr int kSlabFloats = kSlab;

  /// The value at a[0], in every lane.
  static HWY_INLINE HWY_ATTR Vec Broadcast(const float* a) { return hn::Set(F32(), *a); }
  /// c + a b.
  static HWY_INLINE HWY_ATTR Vec Accumulate(Vec a, Vec b, Vec c) { return hn::MulAdd(a, b, c); }
  /// Values [i, i + lanes) of those that begin at p.
  static HWY_INLINE HWY_ATTR Vec Load(const float* p, std::size_t i) { return hn::Load(F32(), p + i); }
  static HWY_INLINE HWY_ATTR void Store(Vec v, float* p, std::size_t i) { hn::Store(v, F32(), p + i); }
};

struct Bf16Emulated {
  static constexpr int kSlabFloats = kSlab / 2;

  /// The pair of values at a[0], in every lane.
  static HWY_INLINE HWY_ATTR Vec Broadcast(const float* a) {
    std::uint32_t pair;
    std::memcpy(&pair, a, sizeof pair);
    return hn::BitCast(F32(), hn::Set(U32(), pair));
  }
  /// c + a1 b1 + a0 b0, for the pair (0, 1) of each lane.
  static HWY_INLINE HWY_ATTR Vec Accumulate(Vec a, Vec b, Vec c) {
    const F32 d;
    const U32 u;
    const auto odd = hn::Set(u, 0xffff0000u);
    const auto x = hn::BitCast(u, a), y = hn::BitCast(u, b);
    c = hn::MulAdd(hn::BitCast(d, hn::And(x, odd)), hn::BitCast(d, hn::And(y, odd)), c);
    return hn::MulAdd(hn::BitCast(d, hn::ShiftLeft<16>(x)), hn::BitCast(d, hn::ShiftLeft<16>(y)), c);
  }
  static HWY_INLINE HWY_ATTR Vec Load(const float* p, std::size_t i) {
    const auto* values = reinterpret_cast<const std::uint16_t*>(p) + i;
    return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(U32(), hn::Load(U16(), values))));
  }
  /// Rounds to nearest, ties to even; NaN stays NaN.
  static HWY_INLINE HWY_ATTR void Store(Vec v, float* p, std::size_t i) {
    const U32 u;
    const auto bits = hn::BitCast(u, v);
    const auto last = hn::And(hn::ShiftRight<16>(bits), hn::Set(u, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(last, hn::Set(u, 0x7fff))));
    const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(u, 0x40));
    const auto half = hn::IfThenElse(hn::RebindMask(u, hn::Ne(v, v)), quiet, rounded);
    const hn::Rebind<std::int32_t, F32> integers;
    hn::Store(hn::DemoteTo(U16(), hn::BitCast(integers, half)), U16(), reinterpret_cast<std::uint16_t*>(p) + i);
  }
};

#if LFM_CPU_HAVE_BF16
struct Bf16Native : Bf16Emulated {
  static HWY_INLINE LFM_CPU_ATTR Vec Accumulate(Vec a, Vec b, Vec c) {
#if defined(__clang__) && __clang_major__ == 16
    __asm__("" : "+v"(a.raw), "+v"(b.raw));  // clang 16 crashes where it sees that a vector of this type is a broadcast
#endif
    return Vec{_mm512_dpbf16_ps(c.raw, (__m512bh)_mm512_castps_si512(a.raw), (__m512bh)_mm512_castps_si512(b.raw))};
  }
  static HWY_INLINE LFM_CPU_ATTR void Store(Vec v, float* p, std::size_t i) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(reinterpret_cast<std::uint16_t*>(p) + i),
                       (__m256i)_mm512_cvtneps_pbh(v.raw));
  }
};
#endif

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
