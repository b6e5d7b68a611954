// The micro-kernel of the ResNet trunk: outputs along a row of a map, [rows][2 vectors], accumulators in registers.
//
//   y[row] = max(0, bias + sum over segments s, depth k of A_s[row][k] x B[s][k] [+ shortcut[row]])
//
//   A  a segment is up to 64 channels seen through one tap of the kernel, a row kStep floats from the next: 64, or 128
//      where the convolution takes every second pixel
//   B  [segments][depth][2 vectors]: one packed panel, read forward once
//
// As in gemm-inl.h each output is one chain of products, whatever block of rows it falls in: the same bits however the
// work is cut.
#if defined(LFM_CPU_CONV_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LFM_CPU_CONV_INL_H_
#undef LFM_CPU_CONV_INL_H_
#else
#define LFM_CPU_CONV_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <utility>

#include "src/engine/cpu/gemm-inl.h"
#include "src/engine/cpu/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace lfm::cpu {
namespace HWY_NAMESPACE {

template <int kStep, int kRows>
HWY_ATTR void convolve_rows(const RowConvolution& p, int first) {
  const F32 d;
  Vec c0[kRows], c1[kRows];
  const Vec bias0 = hn::Load(d, p.bias), bias1 = hn::Load(d, p.bias + kLanes);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    c0[r] = bias0;
    c1[r] = bias1;
  }
  const float* b = p.b;
  for (int segment = 0; segment < p.segments; ++segment) {
    const float* a = p.a[segment] + static_cast<std::size_t>(first) * kStep;
    for (int k = 0; k < p.depth; ++k, ++a, b += kPanel) {
      const Vec b0 = hn::Load(d, b);
      const Vec b1 = hn::Load(d, b + kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const Vec x = hn::Set(d, a[r * kStep]);
        c0[r] = hn::MulAdd(x, b0, c0[r]);
        c1[r] = hn::MulAdd(x, b1, c1[r]);
      }
    }
  }
  const std::size_t at = static_cast<std::size_t>(first) * kSlab;
  float* c = p.c + at;
  const float* shortcut = p.shortcut == nullptr ? nullptr : p.shortcut + at;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r, c += kSlab) {
    if (shortcut != nullptr) {
      c0[r] = hn::Add(c0[r], hn::Load(d, shortcut + r * kSlab));
      c1[r] = hn::Add(c1[r], hn::Load(d, shortcut + r * kSlab + kLanes));
    }
    hn::Store(p.relu ? relu(c0[r]) : c0[r], d, c);
    hn::Store(p.relu ? relu(c1[r]) : c1[r], d, c + kLanes);
  }
}

template <int kStep, int... kIndex>
HWY_ATTR void convolve_block(const RowConvolution& p, int first, int rows, std::integer_sequence<int, kIndex...>) {
  using Function = void (*)(const RowConvolution&, int);
  static constexpr Function functions[] = {convolve_rows<kStep, kIndex + 1>...};
  functions[rows - 1](p, first);
}

template <int kStep>
HWY_ATTR void convolve(const RowConvolution& p) {
  const int blocks = (p.rows + kMaxRows - 1) / kMaxRows;
  for (int i = 0, first = 0; i < blocks; ++i) {
    const int end = static_cast<int>(static_cast<long>(p.rows) * (i + 1) / blocks);
    convolve_block<kStep>(p, first, end - first, std::make_integer_sequence<int, kMaxRows>());
    first = end;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace lfm::cpu
HWY_AFTER_NAMESPACE();

#endif
