// The product of weight gradients: C[64][64] += A^T B, summed over tiles. It differs from gemm-inl.h in where A's
// scalars lie (rows are neighbours, a step of depth is 64 floats away) and in that C stays in memory between blocks of
// tiles.
//
// The same register block: kMaxRows rows by two vectors. C is 64 wide, so its rows never share a set of the cache with
// each other.
#if defined(LFM_CPU_GEMM_OUTER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_GEMM_OUTER_INL_H_
#undef LFM_CPU_GEMM_OUTER_INL_H_
#else
#define LFM_CPU_GEMM_OUTER_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <utility>

#include "src/engine/cpu/gemm-inl.h"
#include "src/engine/cpu/training/training_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

/// Rows of the blocks that 64 rows are dealt to: at most kMaxRows, and no more than two different counts.
inline constexpr int kOuterBlocks = (kSlab + kMaxRows - 1) / kMaxRows;
inline constexpr int kOuterRows = (kSlab + kOuterBlocks - 1) / kOuterBlocks;
inline constexpr int kFullBlocks = kSlab - kOuterBlocks * (kOuterRows - 1);  // the others have one row less

template <int kRows>
HWY_ATTR void outer_rows(const OuterProduct& p, int first, int column) {
  const F32 d;
  float* c = p.c + first * kSlab + column;
  Vec c0[kRows], c1[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    c0[r] = p.accumulate ? hn::Load(d, c + r * kSlab) : hn::Zero(d);
    c1[r] = p.accumulate ? hn::Load(d, c + r * kSlab + kLanes) : hn::Zero(d);
  }
  // C comes from L3 or memory, once a step: ask for the next block's while this one computes.
  for (int r = kRows; p.accumulate && r < 2 * kRows; ++r) {
    for (int i = 0; i < kPanel; i += 16) __builtin_prefetch(c + r * kSlab + i, 1);
  }
  const float* a = p.a + first;
  const float* b = p.b + column;
  for (int k = 0; k < p.depth; ++k, a += kSlab, b += kSlab) {
    const Vec b0 = hn::Load(d, b), b1 = hn::Load(d, b + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec x = hn::Set(d, a[r]);
      c0[r] = hn::MulAdd(x, b0, c0[r]);
      c1[r] = hn::MulAdd(x, b1, c1[r]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    hn::Store(c0[r], d, c + r * kSlab);
    hn::Store(c1[r], d, c + r * kSlab + kLanes);
  }
}

inline HWY_ATTR void outer_product(const OuterProduct& p) {
  for (int column = 0; column < kSlab; column += kPanel) {
    int first = 0;
    for (int i = 0; i < kFullBlocks; ++i, first += kOuterRows) outer_rows<kOuterRows>(p, first, column);
    for (; first < kSlab; first += kOuterRows - 1) outer_rows<kOuterRows - 1>(p, first, column);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
