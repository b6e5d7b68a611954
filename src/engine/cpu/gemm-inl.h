// The micro-kernel of every matrix product in the engine: C[rows][2 vectors] = A x B, accumulators in registers.
//
//   A  [depth/64][row][64]: a scalar is broadcast from memory; the constant row distance makes every address an offset
//   B  [depth][2 vectors]: one packed panel, read forward once
//
// In BF16 two consecutive values of depth, a float's place, take the part of one: A is as it is and B [depth/2][2
// vectors][2]. With R rows a step of depth costs 2R multiply-adds, R broadcasts and two loads. Of 32 vector registers
// 28 accumulate (R = 14), of 16 twelve (R = 6). Rows are dealt to nearly equal blocks, so that none is left with a lone
// row. Each element of C is one chain of products in order of depth, whatever block it falls in: the same bits however
// the work is cut.
#if defined(LFM_CPU_GEMM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_GEMM_INL_H_
#undef LFM_CPU_GEMM_INL_H_
#else
#define LFM_CPU_GEMM_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <utility>

#include "src/engine/cpu/arithmetic-inl.h"
#include "src/engine/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

inline constexpr int kPanel = static_cast<int>(2 * kLanes);
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
inline constexpr int kMaxRows = 14;
#else
inline constexpr int kMaxRows = 6;
#endif

/// B often comes from L3 or memory, once: ask for its lines in L2 this far ahead, more than one row block's time.
inline constexpr std::size_t kAhead = 8192;

HWY_INLINE HWY_ATTR void prefetch_weights(const float* b) {
  for (int i = 0; i < kPanel; i += 16) __builtin_prefetch(b + i, 0, 2);
}

template <typename Arithmetic, int kRows>
LFM_CPU_ATTR void multiply_rows(const PanelProduct& p, int first) {
  const F32 d;
  constexpr int slab_floats = Arithmetic::kSlabFloats;
  Vec c0[kRows], c1[kRows];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) c0[r] = c1[r] = hn::Zero(d);

  const float* b = p.b;
  const float* slab = p.a + static_cast<std::size_t>(first) * slab_floats;
  for (int depth = p.depth; depth > 0; depth -= kSlab, slab += p.a_slab) {
    for (int k = 0; k < slab_floats; ++k, b += kPanel) {
      const float* a = slab + k;
      prefetch_weights(b + kAhead);
      const Vec b0 = hn::Load(d, b);
      const Vec b1 = hn::Load(d, b + kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const Vec x = Arithmetic::Broadcast(a + r * slab_floats);
        c0[r] = Arithmetic::Accumulate(x, b0, c0[r]);
        c1[r] = Arithmetic::Accumulate(x, b1, c1[r]);
      }
    }
  }

  float* c = p.c + static_cast<std::size_t>(first) * p.c_row;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r, c += p.c_row) {
    hn::Store(c0[r], d, c);
    hn::Store(c1[r], d, c + kLanes);
  }
}

template <typename Arithmetic, int... kIndex>
LFM_CPU_ATTR void multiply_block(const PanelProduct& p, int first, int rows, std::integer_sequence<int, kIndex...>) {
  using Function = void (*)(const PanelProduct&, int);
  static constexpr Function functions[] = {multiply_rows<Arithmetic, kIndex + 1>...};
  functions[rows - 1](p, first);
}

template <typename Arithmetic>
LFM_CPU_ATTR void multiply(const PanelProduct& p) {
  const int blocks = (p.rows + kMaxRows - 1) / kMaxRows;
  for (int i = 0, first = 0; i < blocks; ++i) {
    const int end = static_cast<int>(static_cast<long>(p.rows) * (i + 1) / blocks);
    multiply_block<Arithmetic>(p, first, end - first, std::make_integer_sequence<int, kMaxRows>());
    first = end;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
